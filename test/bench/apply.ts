/** apply-overhead and one-change: approved → active through the whole control plane, against a bare `pulumi up`. */
import { undecided } from "../../control-plane/cli/wait.ts";
import { newId } from "../../control-plane/store/ids.ts";
import { TestPlane } from "../setup/control-plane.ts";
import { host } from "../setup/small-city.ts";
import { type Figure, sideBySide, timed } from "./bench.ts";
import { openBareUp } from "./bare-up.ts";
import { hostsOf } from "./specs.ts";

const runs = 3;

export async function applyFigures(): Promise<Figure[]> {
  const plane = new TestPlane();
  const bare = await openBareUp();
  try {
    await plane.start({ ZHENGYUN_LOG_LEVEL: "error" });
    await plane.fill();
    const [pool, application] = [newId("pol"), newId("app")];
    const departments = ["city", "bureau", "office"];
    const held: { department: string; names: string[] }[] = [];
    const approved = async (items: unknown[], department: string): Promise<number> => {
      const request = await plane.ask(items, department);
      for (;;) if (undecided((await plane.read(request.id)).state)) break;
      return timed(async () => {
        await plane.approve(request.id);
        const done = await plane.settled(request.id);
        if (done.state !== "active") throw new Error(`the request is ${done.state}`);
      });
    };
    const first = await sideBySide(
      runs,
      (run) =>
        approved(
          Array.from({ length: 10 }, (_, index) => host(`h${index}`)),
          departments[run]!,
        ),
      (run) => {
        held.push({ department: newId("dep"), names: Array.from({ length: 10 }, () => newId("hst")) });
        return timed(() => bare.up(hostsOf(held[run]!.department, held[run]!.names, pool, application)));
      },
    );
    const one = await sideBySide(
      runs,
      (run) => approved([host("more")], departments[run]!),
      (run) => {
        held[run]!.names.push(newId("hst"));
        return timed(() => bare.up(hostsOf(held[run]!.department, held[run]!.names, pool, application)));
      },
    );
    const figure = (name: string, result: typeof one): Figure => ({
      name,
      ratio: result.ratio,
      goal: 1,
      unit: "× a bare up",
      detail: `${Math.round(result.ours)} ms against ${Math.round(result.baseline)} ms, median of ${runs}`,
    });
    return [figure("apply-overhead", first), figure("one-change", one)];
  } finally {
    await bare.close();
    await plane.remove();
  }
}
