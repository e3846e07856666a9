/** Random lives of a stack: programs that follow each other, and what happens to the things in between. */
import fc from "fast-check";
import type { Thing } from "./program.ts";

/** What is wanted of one of the scenario's things at one step; absent: nothing. */
interface Want {
  value: string;
  kind: "other" | "before" | undefined;
  secret: string | undefined;
  /** It is called anew, and its former names are aliases. */
  renamed: boolean;
  after: number;
  protect: boolean;
  fail: boolean;
  stuck: boolean;
  imported: boolean;
}

export interface Move {
  command: "up" | "up --refresh" | "refresh" | "destroy";
  wants: (Want | undefined)[];
  /** Bits: which of the things that exist, by name, vanish before. */
  lost: number;
}

export interface Scenario {
  /** Bits: which things are under a component. */
  grouped: number;
  moves: Move[];
}

const slots = 5;
const one = (times: number) => fc.nat(times - 1).map((number) => number === 0);

const want: fc.Arbitrary<Want> = fc.record({
  value: fc.constantFrom("1", "2"),
  kind: fc.constantFrom(undefined, undefined, "other" as const, "before" as const),
  secret: fc.constantFrom(undefined, undefined, "hush", "whisper"),
  renamed: one(6),
  after: fc.nat(2 ** slots - 1),
  protect: one(15),
  fail: one(9),
  stuck: one(12),
  imported: one(5),
});

const move: fc.Arbitrary<Move> = fc.record({
  command: fc.constantFrom<Move["command"]>("up", "up", "up", "up", "up --refresh", "refresh", "destroy"),
  wants: fc.array(fc.option(want, { freq: 3, nil: undefined }), { minLength: slots, maxLength: slots }),
  lost: fc.oneof(fc.constant(0), fc.nat(2 ** slots - 1)),
});

/** The same for the same seed. */
export function scenarios(seed: number, count: number, moves: number): Scenario[] {
  const scenario = fc.record({ grouped: fc.nat(2 ** slots - 1), moves: fc.array(move, { minLength: moves, maxLength: moves }) });
  return fc.sample(scenario, { seed, numRuns: count });
}

/** The programs of a scenario's moves; every name in them begins with the prefix. */
export function programs({ grouped, moves }: Scenario, prefix: string): Thing[][] {
  const names = Array.from({ length: slots }, (_, slot) => [`${prefix}s${slot}`]);
  return moves.map(({ wants }) => {
    const made: Thing[] = [];
    const known = new Map<number, string>();
    for (const [slot, wanted] of wants.entries()) {
      if (!wanted) continue;
      const former = names[slot]!;
      if (wanted.renamed) former.push(`${prefix}s${slot}r${former.length}`);
      const [name, ...aliases] = former.toReversed() as [string, ...string[]];
      const imported = wanted.imported && !wanted.secret;
      // The engine waits for ever for an import whose dependency failed: docs/decisions/0009-hung-engine.md.
      const after = imported ? [] : [...known].filter(([other]) => wanted.after & (1 << other)).map(([, other]) => other);
      known.set(slot, name);
      made.push({
        name,
        value: wanted.value,
        ...(wanted.kind && { kind: wanted.kind }),
        ...(wanted.secret && { secret: wanted.secret }),
        ...(after.length > 0 && { after }),
        ...(aliases.length > 0 && { aliases }),
        ...(wanted.protect && { protect: true }),
        ...(wanted.fail && { fail: "no room" }),
        ...(wanted.stuck && { stuck: "in use" }),
        ...(imported && { import: `${name}.${wanted.kind ?? "plain"}` }),
        ...(grouped & (1 << slot) && { group: `${prefix}group` }),
      });
    }
    return made;
  });
}
