/**
 * What passes from one department to another. LXD moves an instance between projects only while it is stopped, so everything stays in the project that it was made in:
 * what is kept of it names the new department, and that one's project notes where the application has its home. What is made for the application later is made there
 * too, since a volume and its host must be in one project. A department to which nothing has passed is asked for nothing more.
 */
import { type Call, NotFound } from "../driver.ts";
import { fault } from "../fault.ts";
import type { Backups } from "./backups.ts";
import { hasMoved, type LxdClient } from "./client.ts";
import { attachmentKey, attachmentsOf, type Instance, keptOf, listInstances } from "./instances.ts";
import { key, lxdName } from "./names.ts";
import type { Project, Projects } from "./projects.ts";
import type { Volumes } from "./volumes.ts";

const homePrefix = key("home.");
const homeKey = (application: string) => `${homePrefix}${lxdName(application)}`;

/** Applications of a department that have their home in another's project: by their key. */
const homesOf = ({ config }: Pick<Project, "config">): Map<string, string> => new Map(Object.entries(config).filter(([name]) => name.startsWith(homePrefix)));

/** Projects in which things of a department lie, its own first. */
export const projectsOf = (project: Pick<Project, "name" | "config">): string[] => [...new Set([project.name, ...homesOf(project).values()])];

export class Passing {
  readonly #client: LxdClient;
  readonly #projects: Projects;
  readonly #volumes: Volumes;
  readonly #backups: Backups;
  constructor(client: LxdClient, projects: Projects, volumes: Volumes, backups: Backups) {
    this.#client = client;
    this.#projects = projects;
    this.#volumes = volumes;
    this.#backups = backups;
  }

  /** In which project a department's thing is, or is to be made. @param application of what is to be made */
  async whereIs(own: Project, name: string, application?: string): Promise<string> {
    const homes = homesOf(own);
    if (homes.size === 0) return own.name;
    if (application !== undefined) return homes.get(homeKey(application)) ?? own.name;
    for (const home of new Set(homes.values())) if (home !== own.name && (await this.#has(home, name))) return home;
    return own.name;
  }

  async #has(project: string, name: string): Promise<boolean> {
    const instances = await listInstances(this.#client, project);
    if (instances.some((one) => one.name === lxdName(name) || attachmentsOf(one).some(({ spec }) => spec.name === name))) return true;
    if (await this.#volumes.get(project, name)) return true;
    return (await this.#projects.policiesIn(project)).some(({ spec }) => spec.name === name);
  }

  async pass(application: string, names: readonly string[], from: Call, to: Call): Promise<void> {
    const [source, target] = [await this.#projects.enter(from), await this.#projects.enter(to)];
    const home = homesOf(source).get(homeKey(application)) ?? source.name;
    // Before anything is called the receiver's: it must find what it has.
    await this.#projects.note(target.name, homeKey(application), home === target.name ? undefined : home);
    if (home !== target.name) await this.#projects.share(home);
    fault("lxd.pass:noted");
    const passing = new Set(names);
    for (const instance of await listInstances(this.#client, home)) await this.#passHost(home, instance, passing, to.scope);
    // What was adopted lies in whichever project it was found in.
    for (const instance of await listInstances(this.#client))
      if (keptOf(instance)?.spec.adopted) await this.#passHost(instance.project, instance, passing, to.scope);
    fault("lxd.pass:hosts");
    await this.#volumes.pass(home, passing, to.scope);
    await this.#projects.passPolicies(home, passing, to.scope);
    for (const name of names) this.#backups.pass(name, to.scope);
  }

  /** A running host doesn't notice. */
  async #passHost(project: string, { name }: Instance, passing: ReadonlySet<string>, scope: string): Promise<void> {
    const path = `/1.0/instances/${name}`;
    for (;;) {
      const there = await this.#client.find<Instance>(path, { project });
      if (!there) throw new NotFound(`There is no host ${name}.`);
      const { architecture, description, ephemeral, profiles, devices } = there.metadata;
      const config = { ...there.metadata.config };
      const kept = keptOf(there.metadata);
      if (kept && passing.has(kept.spec.name)) config[key("host")] = JSON.stringify({ ...kept, scope });
      for (const one of attachmentsOf(there.metadata)) if (passing.has(one.spec.name)) config[attachmentKey(one.spec.name)] = JSON.stringify({ ...one, scope });
      if (JSON.stringify(config) === JSON.stringify(there.metadata.config)) return;
      try {
        await this.#client.change("PUT", path, { project, etag: there.etag, body: { architecture, description, ephemeral, profiles, config, devices } });
        return;
      } catch (error) {
        if (!hasMoved(error)) throw error;
      }
    }
  }
}
