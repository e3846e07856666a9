import { z } from "zod";
import { AttachmentSpec } from "../spec.ts";
import type { Definition } from "./definition.ts";

const inputs = AttachmentSpec.extend({
  pool: z.string().describe("The host's pool, whose driver attaches."),
  hostId: z.string().min(1, "the host is not among the department's hosts").describe("The host's id with its generation: a new host is attached anew."),
  volumeId: z.string().min(1, "the volume is not among the department's volumes").describe("The volume's id with its generation."),
});

export const attachment: Definition<z.infer<typeof inputs>> = {
  kind: "attachment",
  description: "A volume shown inside a host at a path.",
  inputs,
  outputs: z.object({}),
  secrets: [],
  replaceOn: ["name", "pool", "host", "volume", "path", "hostId", "volumeId"],
  pool: (attached) => attached.pool,
  made: () => ({}),
  create: (driver, { name, host, volume, path }, call) => driver.attach({ name, host, volume, path }, call),
  // Only what is put back comes here: it is shown again as it was asked for.
  update: async (driver, _id, { name, host, volume, path }, call) => void (await driver.attach({ name, host, volume, path }, call)),
  delete: (driver, id, call) => driver.detach(id, call),
};
