/** What may be asked for: flavours and images. */
import type { Db, Tx } from "./database.ts";
import type { Act } from "./act.ts";
import { appendAudit } from "./audit.ts";

export interface Flavour {
  code: string;
  name: string;
  vcpu: number;
  memoryMib: number;
  diskGib: number;
}

export interface Image {
  code: string;
  name: string;
}

export interface CatalogueEntries {
  flavours: Flavour[];
  images: Image[];
}

export async function readCatalogue(db: Db): Promise<CatalogueEntries> {
  const rows = await db.selectFrom("catalogue").selectAll().orderBy("kind").orderBy("code").execute();
  return {
    flavours: rows
      .filter((row) => row.kind === "flavour")
      .map((row) => ({ code: row.code, name: row.name, ...(row.spec as Pick<Flavour, "vcpu" | "memoryMib" | "diskGib">) })),
    images: rows.filter((row) => row.kind === "image").map((row) => ({ code: row.code, name: row.name })),
  };
}

/** Adds and changes entries; removes none. */
export async function putCatalogue(tx: Tx, act: Act, entries: CatalogueEntries): Promise<void> {
  const rows = [
    ...entries.flavours.map(({ code, name, vcpu, memoryMib, diskGib }) => ({
      kind: "flavour" as const,
      code,
      name,
      spec: JSON.stringify({ vcpu, memoryMib, diskGib }),
    })),
    ...entries.images.map(({ code, name }) => ({ kind: "image" as const, code, name, spec: "{}" })),
  ];
  if (rows.length === 0) return;
  await tx
    .insertInto("catalogue")
    .values(rows)
    .onConflict((on) => on.columns(["kind", "code"]).doUpdateSet((eb) => ({ name: eb.ref("excluded.name"), spec: eb.ref("excluded.spec") })))
    .execute();
  await appendAudit(tx, act, { action: "catalogue.change", subjectKind: "catalogue", subjectId: "catalogue", departmentId: null, after: entries });
}
