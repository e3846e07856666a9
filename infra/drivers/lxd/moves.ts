/**
 * Moving a host to another member of the cluster, with the volumes attached to it. The server moves no instance whose volumes lie on the member that it leaves, so
 * it is stopped, shows none for a while, and shows them again where it has come to. What is going on lies in its settings until it is done: whoever comes next finishes it.
 */
import { type Call, DriverError, NotFound } from "../driver.ts";
import { fault } from "../fault.ts";
import { undoing } from "../undo.ts";
import type { LxdClient } from "./client.ts";
import type { Hosts } from "./hosts.ts";
import type { IdMaps } from "./id-maps.ts";
import { attachmentsOf, type Instance, memberOf, movingKey, movingOf } from "./instances.ts";
import type { Members } from "./members.ts";
import { lxdName, nameOf } from "./names.ts";
import type { Projects } from "./projects.ts";
import type { Volumes } from "./volumes.ts";

/** How often an instance is moved anew that got ids of others on its new member. */
const moveAttempts = 5;
const firstBoot = "volatile.cloud-init.instance-id";

export class Moves {
  readonly #client: LxdClient;
  readonly #hosts: Hosts;
  readonly #volumes: Volumes;
  readonly #members: Members;
  readonly #projects: Projects;
  readonly #idMaps: IdMaps;
  constructor(client: LxdClient, parts: { hosts: Hosts; volumes: Volumes; members: Members; projects: Projects; idMaps: IdMaps }) {
    this.#client = client;
    this.#hosts = parts.hosts;
    this.#volumes = parts.volumes;
    this.#members = parts.members;
    this.#projects = parts.projects;
    this.#idMaps = parts.idMaps;
  }

  async host(project: string, id: string, member: string, { signal }: Call): Promise<{ restarted: boolean }> {
    await this.#hosts.settled(project, nameOf(id), signal);
    const { instance, kept } = await this.#hosts.require(project, id);
    const begun = movingOf(instance);
    if (!begun && instance.location === member) {
      // Perhaps moved by a call that was killed before it could start it.
      await this.finish(project, id, signal);
      return { restarted: false };
    }
    await this.#members.require(member);
    const volumes = await Promise.all(
      attachmentsOf(instance).map(async ({ spec }) => (await this.#volumes.holding(project, spec.volume)).require(project, spec.volume)),
    );
    // For a while the server counts it twice.
    const { vcpu, memoryMib, diskGib } = kept.spec.flavour;
    const room = { hosts: 1, vcpu, memoryMib, storageGib: volumes.reduce((sum, one) => sum + one.spec.sizeGib, diskGib) };
    return this.#projects.withRoom(project, room, () => this.#bring(project, id, member, signal));
  }

  async #bring(project: string, id: string, member: string, signal: AbortSignal | undefined): Promise<{ restarted: boolean }> {
    const { instance } = await this.#hosts.require(project, id);
    const begun = movingOf(instance);
    const name = nameOf(id);
    const ran = begun?.ran ?? instance.status === "Running";
    await undoing(async (undo) => {
      await this.#volumes.changeHost(project, name, ({ config }) => {
        config[movingKey] ??= JSON.stringify({ ran, firstBoot: config[firstBoot] });
      });
      undo.add(() => this.finish(project, id));
      fault("lxd.host.move:marked");
      if (instance.status === "Running" && instance.location !== member) await this.#hosts.power(project, name, "stop", signal);
      await this.#volumes.changeHost(project, name, ({ config, devices }) => {
        for (const one of attachmentsOf({ config })) delete devices[lxdName(one.spec.name)];
      });
      fault("lxd.host.move:stopped");
      // First what may find no room there: until the host itself has moved, everything can go back.
      if (instance.location !== member) {
        for (const { spec } of attachmentsOf(instance)) {
          const volumes = await this.#volumes.holding(project, spec.volume);
          const volume = await volumes.whole(project, spec.volume);
          const copy = await volumes.bring(project, volume, member);
          if (copy !== undefined) undo.add(async () => void ((await this.#placeOf(project, id)) !== member && (await volumes.remove(project, copy))));
        }
        signal?.throwIfAborted();
        await this.#move(project, instance, member);
      }
      fault("lxd.host.move:moved");
      await this.finish(project, id, signal);
    });
    return { restarted: ran };
  }

  /** Ends a move that was begun, where the host is now: it shows its volumes, and runs when it should. */
  async finish(project: string, id: string, signal?: AbortSignal): Promise<void> {
    const name = nameOf(id);
    const { instance, kept } = await this.#hosts.require(project, id);
    const begun = movingOf(instance);
    const attached = attachmentsOf(instance);
    if (begun) {
      const shown = new Map<string, Record<string, string>>();
      for (const one of attached) {
        const volumes = await this.#volumes.holding(project, one.spec.volume);
        const volume = await volumes.whole(project, one.spec.volume);
        shown.set(one.spec.name, volumes.deviceOf(one, (await volumes.bring(project, volume, instance.location)) ?? volume.is, kept.spec.flavour));
      }
      if (begun.firstBoot !== undefined && begun.firstBoot !== instance.config[firstBoot]) await this.#sameFirstBoot(project, name, begun.firstBoot);
      await this.#volumes.changeHost(project, name, ({ config, devices }) => {
        for (const one of attached) devices[lxdName(one.spec.name)] = shown.get(one.spec.name)!;
        delete config[movingKey];
      });
      fault("lxd.host.move:shown");
    }
    for (const { spec } of attached) await (await this.#volumes.holding(project, spec.volume)).settle(project, spec.volume);
    if (kept.spec.power === "running" && instance.status !== "Running") await this.#hosts.power(project, name, "start", signal);
  }

  async #move(project: string, { name, location }: Instance, member: string): Promise<void> {
    const to = (target: string) =>
      this.#client.change("POST", `/1.0/instances/${name}`, { project, query: { target }, body: { name, migration: true, live: false } });
    for (let attempt = 1; ; attempt++) {
      await to(member);
      // The server gives it a range of ids there as for a new one. It takes no turn with creations, since it may take long: they look as well.
      if (await this.#idMaps.isAlone(project, name)) return;
      await to(location);
      if (attempt === moveAttempts) throw new DriverError("id-maps", `The server gave ${name} user ids that others have on ${member}, ${moveAttempts} times.`);
    }
  }

  /** The server takes a moved instance for a new one, whose user data and keys cloud-init would make again. It refuses to be told otherwise in a restricted project. */
  async #sameFirstBoot(project: string, name: string, was: string): Promise<void> {
    await this.#projects.unrestricted(project, () =>
      this.#volumes.changeHost(project, name, ({ config }) => {
        config[firstBoot] = was;
      }),
    );
  }

  async #placeOf(project: string, id: string): Promise<string | undefined> {
    const there = await this.#hosts.get(project, nameOf(id));
    if (!there) throw new NotFound(`There is no host ${id}.`);
    return memberOf(there.instance.location).member;
  }
}
