import { z } from "zod";
import { Code, Title } from "./common.ts";

export const FlavourEntry = z
  .object({ code: Code, name: Title, vcpu: z.int().min(1).max(256), memoryMib: z.int().min(64).max(4_194_304), diskGib: z.int().min(1).max(65_536) })
  .meta({ id: "Flavour" });
export const ImageEntry = z.object({ code: z.string().min(1).max(128), name: Title }).meta({ id: "Image" });
/** What may be asked for. Every installation has at least the flavours small (1/2048/20), standard (2/4096/40), large (4/8192/80) and the image zhengyun-base-1. */
export const Catalogue = z.object({ flavours: z.array(FlavourEntry), images: z.array(ImageEntry) }).meta({ id: "Catalogue" });
