/** A driver whose handlers do nothing, so that the engine, the program, the provider and the state are what is measured. For benches only. */
import type { Driver, Made } from "../../infra/drivers/driver.ts";

const nothing = async () => {};
const made = async ({ name }: { name: string }): Promise<Made> => ({ id: `${name}.1`, adopted: false });
const never = async () => {
  throw new Error("the idle driver has no data");
};

/** By this export the engine worker takes the module for its table of drivers. */
export function loadDriver(): Driver {
  return {
    kind: "idle",
    capabilities: never,
    createHost: made,
    needsRestart: async () => undefined,
    updateHost: nothing,
    deleteHost: nothing,
    createVolume: made,
    updateVolume: nothing,
    deleteVolume: nothing,
    attach: made,
    detach: nothing,
    putBackupPolicy: made,
    deleteBackupPolicy: nothing,
    backup: never,
    restore: never,
    deleteBackup: never,
    members: async () => [],
    setMember: never,
    moveHost: never,
    restartHost: never,
    moveVolume: never,
    removeMember: never,
    snapshotVolume: never,
    deleteSnapshot: never,
    revertVolume: never,
    consoleLog: never,
    importImage: never,
    exec: never,
    shell: never,
    pass: nothing,
    purge: nothing,
    find: async () => undefined,
    list: async () => [],
    actual: async () => ({ things: [], unreachable: [] }),
    observe: async () => ({ at: Date.now(), hosts: [], volumes: [], backups: [] }),
  };
}
