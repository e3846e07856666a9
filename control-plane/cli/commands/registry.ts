/** Applications: read by everybody who may, kept by the city file and the API. */
import { defineCommand } from "citty";
import type { Application } from "../../contract/applications.ts";
import { listCommand } from "./list.ts";
import { showCommand } from "./show.ts";

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
  },
});
