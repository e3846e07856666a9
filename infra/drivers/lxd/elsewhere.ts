/**
 * Starting a host on another member when its own doesn't answer. The server does that for storage that its members share (Ceph): it writes into its records that
 * the instance is on the other member, and copies nothing. Of an instance on a dead member it tells name and place only, so what it is comes after that.
 */
import { type Call, DriverError, InUse, NotFound, Unsupported } from "../driver.ts";
import { fault } from "../fault.ts";
import type { Address } from "./address.ts";
import type { LxdClient } from "./client.ts";
import type { IdMaps } from "./id-maps.ts";
import { readInstances } from "./instances.ts";
import type { Members } from "./members.ts";
import type { Moves } from "./moves.ts";
import { lxdName, nameOf } from "./names.ts";

/** Storage drivers on which LXD 5.0 and Incus 6.0 bring an instance off a member that is offline. */
const shared = ["ceph"];
export const isShared = (storageDriver: string): boolean => shared.includes(storageDriver);

interface Parts {
  members: Members;
  moves: Moves;
  idMaps: IdMaps;
}

export class Elsewhere {
  readonly #client: LxdClient;
  readonly #address: Address;
  readonly #parts: Parts;
  constructor(client: LxdClient, address: Address, parts: Parts) {
    this.#client = client;
    this.#address = address;
    this.#parts = parts;
  }

  async host(project: string, id: string, { from, to }: { from: string; to: string }, { signal }: Call): Promise<void> {
    const { members, moves, idMaps } = this.#parts;
    const name = lxdName(nameOf(id));
    const location = await this.#placeOf(project, name);
    if (location === undefined) throw new NotFound(`There is no host ${id}.`);
    // Else it was brought by a call that was killed before it could start it.
    if (location === from) {
      const there = (await members.list()).members.find((one) => one.name === from);
      if (there && there.state !== "offline") throw new InUse(`Member ${from} answers: what is on it runs there.`);
      await members.require(to);
      await this.#requireShared(from);
      fault("lxd.host.restart:asked");
      await this.#client.change("POST", `/1.0/instances/${name}`, { project, signal, ...bringing(name, to) });
      fault("lxd.host.restart:brought");
    }
    // It keeps the ids that it had, which a host of that member may have too. Then nobody starts it.
    if (!(await idMaps.isAlone(project, name)))
      throw new DriverError("id-maps", `The user ids of ${id} are those of another host on ${to}: it is not started there.`);
    await moves.finish(project, id, signal);
  }

  async #placeOf(project: string, name: string): Promise<string | undefined> {
    const { instances, unreachable } = await readInstances(this.#client, project);
    return [...instances, ...unreachable].find((one) => one.name === name)?.location;
  }

  async #requireShared(from: string): Promise<void> {
    const { storage } = this.#address;
    const { metadata } = await this.#client.get<{ driver: string }>(`/1.0/storage-pools/${storage}`);
    if (!isShared(metadata.driver))
      throw new Unsupported(`The storage pool ${storage} (${metadata.driver}) lies on each member alone: what was on ${from} is not to be had elsewhere.`);
  }
}

/** Pure: "move the instance off its member", as the server documents it for one that is offline. */
export const bringing = (name: string, to: string) => ({ query: { target: to }, body: { name, migration: true, live: false } });
