/** What every installation may ask for from the start. */
import { type Kysely, sql } from "kysely";

const flavour = (code: string, name: string, vcpu: number, memoryMib: number, diskGib: number) =>
  ["flavour", code, name, JSON.stringify({ vcpu, memoryMib, diskGib })] as const;
const entries = [
  flavour("small", "小型 1C2G", 1, 2048, 20),
  flavour("standard", "标准型 2C4G", 2, 4096, 40),
  flavour("large", "大型 4C8G", 4, 8192, 80),
  ["image", "zhengyun-base-1", "政云基础镜像 1", "{}"] as const,
];

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const [kind, code, name, spec] of entries)
    await sql`insert into catalogue (kind, code, name, spec) values (${kind}, ${code}, ${name}, ${spec}::jsonb)`.execute(db);
}
