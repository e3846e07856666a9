import { z } from "zod";
import { Code, Id, Reference, Revision, SecurityLevel, Time, Title, Zone } from "./common.ts";

const AntiAffinity = z
  .enum(["preferred", "required"])
  .meta({ description: "preferred: its hosts go to different members of a cluster where they fit · required: nowhere else" });
/** A business system (业务系统): what the hosts are for. Every resource belongs to one. */
export const Application = z
  .object({
    id: Id,
    department: Id,
    project: Id,
    code: Code,
    name: Title,
    contact: Title,
    protectionLevel: SecurityLevel,
    filingNumber: z.string().max(64).nullable().meta({ description: "备案号" }),
    zone: Zone,
    antiAffinity: AntiAffinity,
    revision: Revision,
    createdAt: Time,
    updatedAt: Time,
  })
  .meta({ id: "Application" });
export type Application = z.infer<typeof Application>;
export const NewApplication = z
  .strictObject({
    department: Reference,
    project: Reference,
    code: Code,
    name: Title,
    contact: Title,
    protectionLevel: SecurityLevel.default(2),
    filingNumber: z.string().min(1).max(64).nullable().default(null),
    zone: Zone.default("extranet"),
    antiAffinity: AntiAffinity.default("preferred"),
  })
  .meta({ id: "NewApplication" });
export const ApplicationChange = z
  .strictObject({
    name: Title,
    contact: Title,
    filingNumber: z.string().min(1).max(64).nullable(),
    antiAffinity: AntiAffinity,
  })
  .partial()
  .meta({ id: "ApplicationChange" });
