import { expect, it } from "vitest";
import { usageRestMs } from "../../../control-plane/domain/observing.ts";

it("reads what things use a tenth of the time, and less often while hosts come", () => {
  expect(usageRestMs({ tookMs: 100, running: 10 }, 10)).toBe(900);
  expect(usageRestMs({ tookMs: 100, running: 10 }, 20)).toBe(1800);
  expect(usageRestMs({ tookMs: 100, running: 10 }, 5)).toBe(900);
  expect(usageRestMs({ tookMs: 100, running: 0 }, 3)).toBe(2700);
});

it("never rests for longer than half a minute because hosts have come, however long the last reading took", () => {
  expect(usageRestMs({ tookMs: 100, running: 1 }, 1300)).toBe(30_000);
  expect(usageRestMs({ tookMs: 5000, running: 100 }, 1300)).toBe(45_000);
});
