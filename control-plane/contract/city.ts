/**
 * A whole city as one document: what `zhengyun city import` sends to POST /api/v1/city-imports, all or nothing.
 * Repeatable: things are known by their codes; what is there and equal is left alone, what differs is changed, nothing is deleted.
 */
import { z } from "zod";
import { Code, Count, Dimension, Reference, Title } from "./common.ts";
import { NewApplication } from "./applications.ts";
import { FlavourEntry, ImageEntry } from "./catalogue.ts";
import { NewDepartment } from "./departments.ts";
import { NewPool } from "./pools.ts";
import { Prices } from "./price-books.ts";
import { CityProject } from "./projects.ts";
import { NewRequest } from "./requests.ts";

export const City = z
  .strictObject({
    name: Title,
    /** Published as a new version of the price book when they differ from those in force. */
    prices: Prices.optional(),
    flavours: z.array(FlavourEntry).max(100).default([]),
    images: z.array(ImageEntry).max(100).default([]),
    pools: z.array(NewPool).max(500).default([]),
    /** Parents may stand before or after their children. */
    departments: z.array(NewDepartment).max(20_000).default([]),
    quotas: z
      .array(z.strictObject({ department: Reference, limits: z.partialRecord(Dimension, Count) }))
      .max(20_000)
      .default([]),
    projects: z.array(CityProject).max(50_000).default([]),
    applications: z.array(NewApplication).max(50_000).default([]),
    /** Requests to be kept as drafts; `ref` makes a repeated import find them again. */
    requests: z
      .array(NewRequest.omit({ draft: true }).extend({ ref: Code }))
      .max(20_000)
      .default([]),
  })
  .meta({ id: "City" });
export type City = z.infer<typeof City>;
export const CityImport = z
  .object({
    created: z.record(z.string(), z.int()),
    changed: z.record(z.string(), z.int()),
    unchanged: z.record(z.string(), z.int()),
    requests: z.array(z.object({ ref: z.string(), id: z.string(), number: z.string(), department: z.string(), state: z.string() })),
  })
  .meta({ id: "CityImport" });
