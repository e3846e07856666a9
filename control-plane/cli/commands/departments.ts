import { defineCommand } from "citty";
import type { Department } from "../../contract/departments.ts";
import { json } from "../arguments.ts";
import { clientFromEnvironment } from "../client.ts";
import { showOne } from "../output.ts";
import { listCommand } from "./list.ts";
import { showCommand } from "./show.ts";

const path = "/api/v1/departments";

export const departments = defineCommand({
  meta: { name: "departments", description: "The tree of departments (部门)" },
  subCommands: {
    list: listCommand<Department>({
      noun: "departments",
      path,
      filters: { parent: "Only those directly below this one (id or code)" },
      columns: [
        { title: "code", value: (row) => row.code },
        { title: "name", value: (row) => row.nameZh },
        { title: "English", value: (row) => row.nameEn },
        { title: "level", value: (row) => row.level },
        { title: "below", value: (row) => row.children },
        { title: "id", value: (row) => row.id },
      ],
    }),
    show: showCommand("departments", path),
    create: defineCommand({
      meta: { name: "create", description: "Add a department" },
      args: {
        code: { type: "string", required: true, description: "Its code" },
        "name-zh": { type: "string", required: true, description: "Chinese name" },
        "name-en": { type: "string", required: true, description: "English name" },
        level: { type: "string", required: true, description: "province, city, county, township …" },
        parent: { type: "string", description: "Id or code of the department above" },
        line: { type: "string", description: "Line of work (条线)" },
        json,
      },
      async run({ args }) {
        const made = await clientFromEnvironment().post<Department>(path, {
          code: args.code,
          nameZh: args["name-zh"],
          nameEn: args["name-en"],
          level: args.level,
          parent: args.parent ?? null,
          line: args.line ?? null,
        });
        showOne(made, args.json);
      },
    }),
  },
});
