import { z } from "zod";
import { HostSpec } from "../spec.ts";
import type { Definition } from "./definition.ts";

export const host: Definition<HostSpec> = {
  kind: "host",
  description:
    "A virtual host. Image and host name are for life; flavour, keys, addresses, ports and power change in place, and so does its pool after it was moved there. Another generation is made anew.",
  inputs: HostSpec,
  outputs: z.object({ state: z.string().describe("running, stopped, crashed or unknown, as the driver last said.") }),
  secrets: ["userData"],
  // User data is read at the first boot only: other user data means another host.
  replaceOn: ["name", "image", "userData", "generation", "adopted"],
  firstOnly: ["member"],
  pool: (inputs) => inputs.pool,
  refuses(before, after) {
    const disk = before.flavour?.diskGib;
    if (disk !== undefined && after.flavour.diskGib < disk) {
      return `flavour.diskGib: a host's disk cannot shrink from ${disk} to ${after.flavour.diskGib} GiB; ask for ${disk} GiB or more`;
    }
    return undefined;
  },
  made: (inputs) => ({ state: inputs.power }),
  create: (driver, inputs, call) => driver.createHost(inputs, call),
  update: (driver, id, inputs, call) => driver.updateHost(id, inputs, call),
  delete: (driver, id, call) => driver.deleteHost(id, call),
  unseen: { state: "unknown" },
  read({ state = "unknown" }) {
    if (state === "unknown") return { outputs: { state } };
    // A host that should run and doesn't shows as switched off, so that the next update starts it again.
    return { inputs: { power: state === "running" ? "running" : "stopped" }, outputs: { state } };
  },
};
