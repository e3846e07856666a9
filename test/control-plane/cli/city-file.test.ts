import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { CityFileInvalid, loadCity } from "../../../control-plane/cli/city-file.ts";

const sample = resolve(import.meta.dirname, "../../../control-plane/cli/cities/beijing/city.yaml");

describe("a city file", () => {
  const directory = mkdtempSync(join(tmpdir(), "zhengyun-city-"));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  const write = (name: string, text: string) => {
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  };
  const errorsOf = async (path: string) => {
    const error: unknown = await loadCity(path).then(
      () => undefined,
      (one: unknown) => one,
    );
    if (!(error instanceof CityFileInvalid)) throw new Error(`no refusal but ${String(error)}`);
    return error.message;
  };

  it("is the sample: 100 departments, 1,300 standard hosts", async () => {
    const { city, locate } = await loadCity(sample);
    expect(city.departments).toHaveLength(100);
    expect(city.requests.flatMap((request) => request.items).filter((item) => item.kind === "host")).toHaveLength(1300);
    // An error of the server's leads back to the line that it is about.
    expect(locate("/departments/3").file).toMatch(/departments\.csv$/);
    expect(locate("/departments/3").line).toBe(5);
  });

  it("names who asks and who decides in each department, and by which policies", async () => {
    const { city, people, policies } = await loadCity(sample);
    for (const { code } of city.departments)
      for (const role of ["applicant", "approver"])
        expect(people.find((one) => one.name === `${code}.${role}`)?.roles, `${role} of ${code}`).toEqual([{ role, department: code }]);
    expect(policies.map((one) => one.department)).toEqual(["110000", "110108"]);

    const twice =
      "name: x\npeople:\n  - { name: li, displayName: L, roles: [{ role: finance }] }\n  - { name: LI, displayName: L, roles: [{ role: finance }] }\n";
    expect(await errorsOf(write("twice.yaml", twice))).toMatch(/twice\.yaml:4: li stands in the file twice/);
    const stage = "{ name: S, kind: department-approval, role: approver, approvers: [nobody] }";
    const policy = `name: x\npolicies:\n  - department: "1"\n    stages:\n      - ${stage}\n`;
    expect(await errorsOf(write("policy.yaml", policy))).toMatch(/policy\.yaml:5: nobody is none of the file's people/);
  });

  it("says on which line what is wrong", async () => {
    expect(await errorsOf(write("syntax.yaml", "name: x\npools: [\n"))).toMatch(/syntax\.yaml:[23]/);
    expect(await errorsOf(write("unknown.yaml", "name: x\ndepartments: []\npoolz: []\n"))).toMatch(/unknown\.yaml:\d+.*poolz/s);
    const pool = "name: x\ndepartments: []\npools:\n  - code: a\n    name: A\n    kind: compute\n    site: S\n    capacity: { hosts: -1 }\n";
    expect(await errorsOf(write("value.yaml", pool))).toMatch(/value\.yaml:8.*hosts/s);
    write("departments.csv", "code,name_zh,name_en,parent_code,level\na,甲,A,,city\nb,乙\n");
    expect(await errorsOf(write("csv.yaml", "name: x\ndepartments: { csv: departments.csv }\n"))).toMatch(/departments\.csv:3/);
  });

  it("that cannot be read is refused in plain words", async () => {
    expect(await errorsOf(directory)).toContain("directory");
    expect(await errorsOf(join(directory, "none.yaml"))).toContain("no such file");
  });
});
