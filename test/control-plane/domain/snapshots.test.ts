import { describe, expect, it } from "vitest";
import { hasLapsed, nextWork, requireFuture, requireRoom, requireTyped, toDeleteFirst } from "../../../control-plane/domain/snapshots.ts";

const day = (n: number) => new Date(Date.UTC(2026, 10, n));
const kept = (name: string, created: number, expires: number | null = null) => ({
  name,
  complete: true,
  createdAt: day(created),
  expiresAt: expires === null ? null : day(expires),
});

describe("snapshots", () => {
  it("are as many as the policy allows; then it is said which would go first", () => {
    const two = [kept("old", 1), kept("new", 2)];
    requireRoom("data", two, 3);
    expect(() => requireRoom("data", two, 2)).toThrow(expect.objectContaining({ code: "rule-broken", remedy: expect.stringContaining("old, of 2026-11-01") }));
    expect(toDeleteFirst([...two, kept("short", 3, 5), kept("long", 1, 9)])?.name).toBe("short");
    expect(toDeleteFirst([{ ...kept("half", 1), complete: false }, kept("new", 2)])?.name).toBe("new");
    expect(toDeleteFirst([])).toBeUndefined();
  });

  it("expire in the future", () => {
    requireFuture(null, day(2));
    requireFuture(day(3), day(2));
    expect(() => requireFuture(day(2), day(2))).toThrow(expect.objectContaining({ code: "invalid-body" }));
  });

  it("the volume's name is typed as it is", () => {
    requireTyped("data", "data");
    expect(() => requireTyped("Data", "data")).toThrow(expect.objectContaining({ code: "invalid-body" }));
  });

  it("an ask lapses after seven days, to the millisecond", () => {
    expect(hasLapsed(day(1), day(8))).toBe(false);
    expect(hasLapsed(day(1), new Date(day(8).getTime() + 1))).toBe(true);
  });

  it("what was begun goes first, then as it was asked for", () => {
    const work = (id: string, since: number, begun = false) => ({ kind: "take" as const, id, begun, since: day(since) });
    expect(nextWork([work("b", 2), work("a", 3, true), work("c", 1)])?.id).toBe("a");
    expect(nextWork([work("b", 2), work("c", 1)])?.id).toBe("c");
    expect(nextWork([])).toBeUndefined();
  });
});
