import { describe, expect, it } from "vitest";
import { readCalendarFile } from "../../../control-plane/contract/calendar-file.ts";

const fault = (text: string): string => {
  try {
    return JSON.stringify(readCalendarFile(text, "x"));
  } catch (error) {
    return (error as Error).message;
  }
};

describe("a calendar's file", () => {
  it("is CSV, with a head, remarks and names or without, in either language", () => {
    const expected = { year: 2031, source: "notice", holidays: ["2031-01-01", "2031-10-01"], workingDays: ["2031-10-11"] };
    expect(readCalendarFile("2031-01-01,holiday\n2031-10-01,holiday\n2031-10-11,workday\n", "notice")).toEqual(expected);
    expect(readCalendarFile("\uFEFF日期,类型,名称\r\n# 注\r\n2031/1/1,休,元旦\r\n2031/10/1,放假,国庆\r\n\r\n2031/10/11,班,\r\n", "notice")).toEqual(expected);
    expect(readCalendarFile('"2031-01-01";"休"\n2031-10-01\t假\n2031-10-11\t补班', "notice")).toEqual(expected);
  });
  it("is JSON, whose own year and source count first", () => {
    const text = JSON.stringify({ year: 2031, source: "its own", holidays: ["2031-01-01"], workingDays: [] });
    expect(readCalendarFile(text, "notice")).toEqual({ year: 2031, source: "its own", holidays: ["2031-01-01"], workingDays: [] });
    expect(readCalendarFile('{"holidays":["2031-01-01"]}', "notice")).toEqual({ year: 2031, source: "notice", holidays: ["2031-01-01"], workingDays: [] });
  });
  it("says which line is wrong, and takes nothing that names no holiday", () => {
    expect(fault("2031-01-01,holiday\n2031-1x,holiday")).toMatch(/^Line 2: "2031-1x" is no day/);
    expect(fault("2031-01-01,perhaps")).toMatch(/^Line 1: "perhaps" is neither/);
    expect(fault("date,kind\n")).toBe("It names no holiday.");
    expect(fault('{"holidays":[],"workingDays":[]}')).toBe("It names no holiday.");
    expect(fault('{"holidays":"2031-01-01"}')).toMatch(/^"holidays" must be a list/);
  });
});
