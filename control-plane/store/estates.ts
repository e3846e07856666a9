/** A department's estate: what is wanted, what an apply begins with, and what its outcome settles. */
import type { Selectable } from "kysely";
import type { DepartmentSpec, HostSpec, PoolEndpoint, SpecKind } from "../../infra/spec.ts";
import { estateOf } from "../domain/resources.ts";
import type { Db } from "./database.ts";
import type { Seal } from "./requests.ts";
import type { Resources } from "./schema.ts";

export type Resource = Selectable<Resources>;

/** Every pool's driver and endpoint, for the worker. */
export async function poolEndpoints(db: Db): Promise<PoolEndpoint[]> {
  return (await db.selectFrom("pools").select(["id", "driver", "endpoint"]).execute()).map(({ id, driver, endpoint }) => ({ pool: id, driver, endpoint }));
}

/** Where a department has something, or ever had. */
export async function poolsOf(db: Db, departmentId: string): Promise<Set<string>> {
  const rows = await db
    .selectFrom("resources")
    .select("pool_id")
    .distinct()
    .where("department_id", "=", departmentId)
    .where("pool_id", "is not", null)
    .execute();
  return new Set(rows.map((row) => row.pool_id!));
}

const unsealed = (resource: { id: string; kind: SpecKind; wanted: unknown }, unseal: Seal): { kind: SpecKind; wanted: unknown } => {
  const wanted = resource.wanted as HostSpec;
  return {
    kind: resource.kind,
    wanted: resource.kind === "host" && wanted.userData !== undefined ? { ...wanted, userData: unseal(resource.id, wanted.userData) } : wanted,
  };
};

/** The department as it is wanted now: approved and not retired. */
export async function wantedSpec(db: Db, departmentId: string, unseal: Seal): Promise<DepartmentSpec> {
  const resources = await db
    .selectFrom("resources")
    .select(["id", "kind", "wanted"])
    .where("department_id", "=", departmentId)
    .where("phase", "in", ["wanted", "live"])
    .execute();
  return estateOf(
    departmentId,
    resources.map((one) => unsealed(one, unseal)),
  );
}

/** The department as it would be wanted with this request, for the preview. */
export async function plannedSpec(db: Db, requestId: string, unseal: Seal): Promise<{ departmentId: string; spec: DepartmentSpec }> {
  const request = await db.selectFrom("requests").select(["department_id"]).where("id", "=", requestId).executeTakeFirstOrThrow();
  const items = await db.selectFrom("request_items").selectAll().where("request_id", "=", requestId).execute();
  const changed = new Map(
    items
      .filter((item) => item.action !== "extend")
      .map((item) => [item.resource_id, { action: item.action, wanted: (item.spec as { wanted: unknown }).wanted }]),
  );
  const resources = await db
    .selectFrom("resources")
    .select(["id", "kind", "wanted", "phase", "request_id"])
    .where("department_id", "=", request.department_id)
    .where("phase", "in", ["proposed", "wanted", "live"])
    .execute();
  const estate = resources
    .filter((one) => one.phase !== "proposed" || one.request_id === requestId)
    .filter((one) => changed.get(one.id)?.action !== "retire")
    .map((one) => unsealed({ ...one, wanted: changed.get(one.id)?.wanted ?? one.wanted }, unseal));
  return { departmentId: request.department_id, spec: estateOf(request.department_id, estate) };
}
