/** A driver whose handlers do nothing, so that a benchmark measures the engine and the state, and no cloud. */
import type { Driver, Made } from "../../infra/drivers/driver.ts";

const made = async ({ name }: { name: string }): Promise<Made> => ({ id: `${name}.1`, adopted: false });
const nothing = async () => undefined;

const idle = {
  kind: "idle",
  createHost: made,
  createVolume: made,
  attach: made,
  putBackupPolicy: made,
  updateHost: nothing,
  updateVolume: nothing,
  deleteHost: nothing,
  deleteVolume: nothing,
  detach: nothing,
  deleteBackupPolicy: nothing,
} as unknown as Driver;

export const loadDriver = (): Driver => idle;
