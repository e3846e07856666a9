import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Slots } from "../../infra/slots.ts";

describe("slots", () => {
  it("never run more than there are, never one key twice, and run everything in order within a key", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.integer({ min: 1, max: 4 }),
        fc.array(fc.constantFrom("a", "b", "c"), { maxLength: 20 }),
        async (scheduler, count, keys) => {
          const slots = new Slots(count);
          const running = new Map<string, number>();
          const finished: [string, number][] = [];
          const all = keys.map((key, index) =>
            slots.run(key, async (slot) => {
              expect(running.has(key)).toBe(false);
              expect([...running.values()]).not.toContain(slot);
              running.set(key, slot);
              expect(running.size).toBeLessThanOrEqual(count);
              await scheduler.schedule(Promise.resolve());
              running.delete(key);
              finished.push([key, index]);
              return index;
            }),
          );
          await scheduler.waitFor(Promise.all(all));
          expect(await Promise.all(all)).toEqual(keys.map((_, index) => index));
          for (const key of ["a", "b", "c"]) {
            const order = finished.filter(([its]) => its === key).map(([, index]) => index);
            expect(order).toEqual(order.toSorted((x, y) => x - y));
          }
          expect(slots.waiting).toBe(0);
        },
      ),
    );
  });

  it("give a slot back when a task fails", async () => {
    const slots = new Slots(1);
    await expect(
      slots.run("a", async () => {
        throw new Error("no");
      }),
    ).rejects.toThrow("no");
    await expect(slots.run("a", async (slot) => slot)).resolves.toBe(0);
  });
});
