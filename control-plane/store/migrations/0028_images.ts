/** Images that came as files: what a name stands for, for ever, and where each has been brought. */
import { type Kysely, sql } from "kysely";

const statements = [
  `create table images (code text primary key, name text not null, sha256 text not null, size_bytes bigint not null check (size_bytes > 0),
    created_by text not null, created_at timestamptz not null, withdrawn_at timestamptz)`,
  `create table image_copies (image_code text not null references images(code), driver text not null, endpoint text not null,
    state text not null check (state in ('imported','failed','unsupported')), error text, at timestamptz not null,
    primary key (image_code, driver, endpoint))`,
];

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}
