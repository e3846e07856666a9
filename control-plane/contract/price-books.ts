/** Price books (价格目录): versions of flat prices. A version never changes; another one follows it. */
import { z } from "zod";
import { Dimension, dimensions, Id, Time } from "./common.ts";

export const Price = z
  .strictObject({
    meter: Dimension,
    per: z.int().min(1).max(1_000_000).default(1).meta({ description: "The price is for this many units of the meter, such as 1024 MiB" }),
    period: z.enum(["hour", "month"]).meta({ description: "month: a calendar month in Asia/Shanghai, part of it by the millisecond" }),
    fen: z.int().min(0).max(1_000_000_000),
  })
  .meta({ id: "Price" });
export type Price = z.infer<typeof Price>;

/** Every meter once, so that nothing is free by oversight. */
export const Prices = z.array(Price).superRefine((prices, context) => {
  for (const [index, { meter }] of prices.entries())
    if (prices.findIndex((one) => one.meter === meter) !== index)
      context.addIssue({ code: "custom", path: [index, "meter"], message: `${meter} is there twice` });
  const missing = dimensions.filter((meter) => !prices.some((one) => one.meter === meter));
  if (missing.length > 0) context.addIssue({ code: "custom", message: `a price is missing for ${missing.join(", ")}; write 0 for what is free` });
});

const Note = z.string().trim().max(2000);
export const PriceBook = z
  .object({
    id: Id,
    version: z.int().min(1),
    validFrom: Time,
    note: Note,
    prices: z.array(Price),
    publishedBy: z.string(),
    createdAt: Time,
    inForce: z.boolean().meta({ description: "This version prices what is asked for now" }),
  })
  .meta({ id: "PriceBook" });
export type PriceBook = z.infer<typeof PriceBook>;
export const NewPriceBook = z
  .strictObject({
    validFrom: Time.optional().meta({ description: "Not in the past; left out: now. Of two versions with the same one the later published counts" }),
    note: Note.default(""),
    prices: Prices,
  })
  .meta({ id: "NewPriceBook" });
export type NewPriceBook = z.infer<typeof NewPriceBook>;
