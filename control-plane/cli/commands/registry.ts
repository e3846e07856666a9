/** Applications and pools: read by everybody who may, kept by the city file and the API. */
import { defineCommand } from "citty";
import type { Application } from "../../contract/applications.ts";
import type { Pool } from "../../contract/pools.ts";
import { listCommand } from "./list.ts";
import { showCommand } from "./show.ts";
import { transferCommand } from "./transfer.ts";

export const applications = defineCommand({
  meta: { name: "applications", description: "Business systems (业务系统)" },
  subCommands: {
    list: listCommand<Application>({
      noun: "applications",
      path: "/api/v1/applications",
      filters: { department: "Id or code of a department" },
      columns: [
        { title: "code", value: (row) => row.code },
        { title: "name", value: (row) => row.name },
        { title: "level", value: (row) => row.protectionLevel },
        { title: "zone", value: (row) => row.zone },
        { title: "department", value: (row) => row.department },
        { title: "id", value: (row) => row.id },
      ],
    }),
    show: showCommand("applications", "/api/v1/applications"),
    transfer: transferCommand,
  },
});

const shares = (pool: Pool) =>
  Object.entries(pool.capacity)
    .map(([dimension, capacity]) => `${dimension} ${pool.taken[dimension as keyof typeof pool.taken] ?? 0}/${capacity}`)
    .join(", ");

export const pools = defineCommand({
  meta: { name: "pools", description: "Capacity (资源池)" },
  subCommands: {
    list: listCommand<Pool>({
      noun: "pools",
      path: "/api/v1/pools",
      columns: [
        { title: "code", value: (row) => row.code },
        { title: "kind", value: (row) => row.kind },
        { title: "tier", value: (row) => row.tier },
        { title: "level", value: (row) => row.securityLevel },
        { title: "driver", value: (row) => row.driver },
        { title: "state", value: (row) => row.state },
        { title: "reached", value: (row) => (row.circuit.state === "closed" ? "yes" : `no: ${row.circuit.error ?? ""}`) },
        { title: "taken/capacity", value: shares },
      ],
    }),
    show: showCommand("pools", "/api/v1/pools"),
  },
});
