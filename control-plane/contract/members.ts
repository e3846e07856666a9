/** The machines behind pools, as they were read last. */
import { z } from "zod";
import { Code, Id, PageQuery, Reference, Time } from "./common.ts";

const space = z.object({ totalBytes: z.int(), freeBytes: z.int() });
export const Member = z
  .object({
    name: z.string(),
    /** Codes of the pools at its endpoint. */
    pools: z.array(Code),
    driver: z.string(),
    state: z.enum(["online", "evacuated", "offline"]).meta({ description: "evacuated: takes no hosts, by decision of operations" }),
    groups: z.array(z.string()),
    message: z.string(),
    vcpu: z.int().nullable(),
    memory: space.nullable(),
    disk: space.nullable(),
    hosts: z.int().meta({ description: "Departments' hosts on it" }),
    volumes: z.int().meta({ description: "Departments' volumes on it" }),
    soldVcpu: z.int().meta({ description: "Of the hosts on it" }),
    soldMemoryMib: z.int(),
    readAt: Time,
  })
  .meta({ id: "Member" });
export type Member = z.infer<typeof Member>;
export const MemberQuery = PageQuery.extend({ pool: Reference.optional() });

const thing = z.object({
  id: Id,
  kind: z.enum(["host", "volume"]),
  name: z.string(),
  department: Id,
  departmentName: z.object({ zh: z.string(), en: z.string() }),
  application: Id,
  applicationName: z.string(),
  pool: Code,
  state: z.string(),
  vcpu: z.int().nullable(),
  memoryMib: z.int().nullable(),
  sizeGib: z.int(),
});
export const MemberThing = thing.meta({ id: "MemberThing" });
export type MemberThing = z.infer<typeof MemberThing>;
