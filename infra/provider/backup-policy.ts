import { z } from "zod";
import { BackupPolicySpec } from "../spec.ts";
import type { Definition } from "./definition.ts";

const inputs = BackupPolicySpec.extend({
  volumePool: z.string().describe("The volume's pool, whose driver keeps the policy."),
  volumeId: z.string().min(1, "the volume is not among the department's volumes").describe("The volume's id with its generation."),
});
type Inputs = z.infer<typeof inputs>;

const specOf = ({ volumePool: _pool, volumeId: _id, ...spec }: Inputs): BackupPolicySpec => spec;

export const backupPolicy: Definition<Inputs> = {
  kind: "backup-policy",
  description: "When a volume is backed up, where to, and how many recovery points are kept.",
  inputs,
  outputs: z.object({}),
  secrets: [],
  replaceOn: ["name", "volume", "volumePool", "volumeId"],
  pool: (policy) => policy.volumePool,
  made: () => ({}),
  create: (driver, policy, call) => driver.putBackupPolicy(specOf(policy), call),
  update: async (driver, _id, policy, call) => void (await driver.putBackupPolicy(specOf(policy), call)),
  delete: (driver, id, call) => driver.deleteBackupPolicy(id, call),
};
