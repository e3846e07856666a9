import { describe, expect, it } from "vitest";
import { isSoon, restartTurn, timeFault } from "../../../control-plane/domain/restarts.ts";

const now = new Date("2026-11-28T02:00:00Z");
const at = (minutes: number) => ({ when: "at" as const, at: new Date(now.getTime() + minutes * 60_000).toISOString() });

describe("restarts that were agreed to", () => {
  it("are agreed to for a moment that comes, and not for years ahead", () => {
    expect(timeFault(at(1), now)).toBeUndefined();
    expect(timeFault(at(0), now)).toBe("has passed");
    expect(timeFault(at(91 * 24 * 60), now)).toMatch(/90 days/);
    expect(timeFault({ when: "window" }, now)).toBeUndefined();
  });

  it.each([
    [null, true, "waits"],
    [{ when: "now" as const }, false, "due"],
    [{ when: "window" as const }, false, "waits"],
    [{ when: "window" as const }, true, "due"],
    [at(1), true, "waits"],
    [at(0), false, "due"],
    [at(-30), false, "due"],
    [at(-31), false, "lapsed"],
  ] as const)("%j, while a window holds: %s, is %s", (time, holds, turn) => expect(restartTurn(time, now, holds)).toBe(turn));

  it("are told of an hour before, to whom it was agreed with earlier", () => {
    const day = new Date(now.getTime() - 86_400_000);
    expect(isSoon(at(59), day, now)).toBe(true);
    expect(isSoon(at(61), day, now)).toBe(false);
    expect(isSoon(at(30), now, now), "they have just said so").toBe(false);
    expect(isSoon({ when: "window" }, day, now)).toBe(false);
  });
});
