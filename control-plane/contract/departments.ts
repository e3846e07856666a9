import { z } from "zod";
import { Code, Id, Reference, Revision, Time, Title } from "./common.ts";

/** A node of the department tree (部门). */
export const Department = z
  .object({
    id: Id,
    parent: Id.nullable(),
    code: Code,
    nameZh: Title,
    nameEn: Title,
    level: z.string().min(1).max(32).meta({ description: "province, city, county, township …" }),
    line: z.string().max(64).nullable().meta({ description: "Line of work (条线)" }),
    /** Number of departments directly below. */
    children: z.int().min(0),
    revision: Revision,
    createdAt: Time,
    updatedAt: Time,
  })
  .meta({ id: "Department" });
export type Department = z.infer<typeof Department>;

export const NewDepartment = z
  .strictObject({
    parent: Reference.nullable().default(null),
    code: Code,
    nameZh: Title,
    nameEn: Title,
    level: z.string().min(1).max(32),
    line: z.string().min(1).max(64).nullable().default(null),
  })
  .meta({ id: "NewDepartment" });
export const DepartmentChange = z
  .strictObject({
    nameZh: Title,
    nameEn: Title,
    level: z.string().min(1).max(32),
    line: z.string().min(1).max(64).nullable(),
  })
  .partial()
  .meta({ id: "DepartmentChange" });
