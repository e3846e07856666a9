/** Profiles and estates of a city file, written out: pure. */
import type { City } from "../contract/city.ts";
import type { Person } from "../contract/people.ts";
import type { Dimension } from "../contract/common.ts";
import type { CityFile, Profile } from "./city-file.ts";

type Department = City["departments"][number];
type Path = PropertyKey[];
type Limits = Partial<Record<Dimension, number>>;

export interface Expanded {
  city: City;
  people: Person[];
  /** From a path in the city to the path in the file that it came from. */
  origins(at: (string | number)[]): Path;
  errors: { at: Path; message: string }[];
}

/** Writes a project, an application, a quota, a draft request and the people for every department of every estate. */
export function expandEstates(file: CityFile, departments: Department[]): Expanded {
  const errors: Expanded["errors"] = [];
  const from = new Map<string, Path>();
  const written = new Map<number, number[]>();
  const city = {
    name: file.name,
    ...(file.prices ? { prices: file.prices } : {}),
    flavours: file.flavours,
    images: file.images,
    pools: file.pools,
    departments,
    quotas: [...file.quotas],
    projects: [...file.projects],
    applications: [...file.applications],
    requests: [...file.requests],
  };
  const people = [...file.people];
  const named = new Map<string, Path>();
  const once = (name: string, at: Path) => {
    if (named.has(name)) errors.push({ at, message: `${name} stands in the file twice` });
    named.set(name, at);
  };
  for (const [index, one] of file.people.entries()) once(one.name, ["people", index, "name"]);
  const titles = new Map(departments.map((department) => [department.code, department.nameZh]));
  const note = (list: "quotas" | "projects" | "applications" | "requests", origin: Path) => from.set(`${list}/${city[list].length - 1}`, origin);

  for (const [index, estate] of file.estates.entries()) {
    const profile = file.profiles[estate.profile];
    if (!profile) {
      errors.push({
        at: ["estates", index, "profile"],
        message: `there is no profile ${estate.profile}; there are ${Object.keys(file.profiles).join(", ") || "none"}`,
      });
      continue;
    }
    const chosen = estate.departments ?? departments.filter((department) => department.level === estate.level).map((department) => department.code);
    for (const department of chosen) {
      const origin: Path = ["profiles", estate.profile];
      city.quotas.push({ department, limits: profile.quota });
      note("quotas", [...origin, "quota"]);
      city.projects.push({ ...profile.project, department });
      note("projects", [...origin, "project"]);
      city.applications.push({ ...profile.application, department, project: profile.project.code });
      note("applications", [...origin, "application"]);
      city.requests.push({
        ref: `${department}.${estate.profile}`,
        department,
        project: profile.project.code,
        application: profile.application.code,
        title: profile.request.title,
        reason: profile.request.reason,
        items: writeOut(profile) as City["requests"][number]["items"],
      });
      note("requests", [...origin, "request"]);
      written.set(city.requests.length - 1, sources(profile));
      for (const [place, { name, displayName, role }] of profile.people.entries()) {
        const person = { name: `${department}.${name}`.toLowerCase(), displayName: `${titles.get(department) ?? department}${displayName}` };
        once(person.name, [...origin, "people", place, "name"]);
        people.push({ ...person, roles: [{ role, department }] });
      }
    }
  }
  for (const [index, policy] of file.policies.entries())
    for (const [at, stage] of policy.stages.entries())
      for (const [place, name] of stage.approvers.entries())
        if (!named.has(name)) errors.push({ at: ["policies", index, "stages", at, "approvers", place], message: `${name} is none of the file's people` });
  if (file.rollUpQuotas) city.quotas = rollUp(city.quotas, departments);
  const origins = (at: (string | number)[]) => {
    const found = from.get(`${at[0]}/${at[1]}`);
    if (!found) return at;
    const rest = at.slice(2);
    const source = at[0] === "requests" && rest[0] === "items" ? written.get(Number(at[1]))?.[Number(rest[1])] : undefined;
    return source === undefined ? [...found, ...rest] : [...found, "items", source, ...rest.slice(2)];
  };
  return { city, people, origins, errors };
}

/** An item with `count: 3` and the name `web` becomes web-1, web-2 and web-3. */
function writeOut(profile: Profile): unknown[] {
  return profile.request.items.flatMap(({ count, ...item }) => {
    if (count === undefined) return [item];
    const spec = (item as { spec?: { name?: string } }).spec ?? {};
    return Array.from({ length: count }, (_, index) => ({ ...item, spec: { ...spec, name: `${spec.name}-${index + 1}` } }));
  });
}

/** For each item written out, which item of the profile it came from. */
const sources = (profile: Profile) => profile.request.items.flatMap(({ count }, index) => Array.from({ length: count ?? 1 }, () => index));

/** Each department's limits plus those of all below it: no child can then be stopped by its parent before its own limit. */
function rollUp(quotas: City["quotas"], departments: Department[]): City["quotas"] {
  const parents = new Map(departments.map((department) => [department.code, department.parent]));
  const sums = new Map<string, Limits>();
  for (const { department, limits } of quotas) {
    const seen = new Set<string>();
    for (let at: string | null | undefined = department; at && !seen.has(at); at = parents.get(at)) {
      seen.add(at);
      const sum = sums.get(at) ?? {};
      for (const [dimension, limit] of Object.entries(limits) as [Dimension, number][]) sum[dimension] = (sum[dimension] ?? 0) + limit;
      sums.set(at, sum);
    }
  }
  return [...sums].map(([department, limits]) => ({ department, limits }));
}
