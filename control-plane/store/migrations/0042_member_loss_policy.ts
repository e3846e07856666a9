/** What becomes of a pool's hosts when their member doesn't answer, by policy; what was filed, begun and held under it. */
import { type Kysely, sql } from "kysely";

const statements = [
  `alter table pools
    add column loss_action text not null default 'wait' check (loss_action in ('wait','propose','restart')),
    add column loss_after_seconds int not null default 600 check (loss_after_seconds > 0),
    add column loss_fenced boolean not null default false,
    add column loss_set_by text,
    add column loss_set_at timestamptz,
    add column shared_storage boolean,
    add check (loss_action <> 'restart' or loss_fenced)`,
  `alter table member_losses add column filed_at timestamptz, add column held_at timestamptz`,
  `alter table operation_plans add column loss_id text references member_losses(id)`,
  `create index operation_plans_loss on operation_plans(loss_id) where loss_id is not null`,
  `alter table operation_plans drop constraint operation_plans_kind_check`,
  `alter table operation_plans add constraint operation_plans_kind_check
    check (kind in ('drain-member','restore-member','replace-member','rebalance','move-host','move-volume','restart-lost'))`,
  `alter table operation_steps drop constraint operation_steps_action_check`,
  `alter table operation_steps add constraint operation_steps_action_check check (action in ('close-member','open-member','move-host','move-volume','restart-host'))`,
];

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}
