/** Roles and who holds them where. */
import { defineCommand } from "citty";
import { Role, type RoleBinding } from "../../contract/roles.ts";
import { json } from "../arguments.ts";
import { clientFromEnvironment } from "../client.ts";
import { localTime, showOne } from "../output.ts";
import { listCommand } from "./list.ts";

const path = "/api/v1/role-bindings";
const id = { type: "positional", required: true, description: "Id of the role binding" } as const;
const reason = { type: "string", required: true, description: "Why" } as const;

export const roles = defineCommand({
  meta: { name: "roles", description: "Who may do what, and where" },
  subCommands: {
    list: listCommand<RoleBinding>({
      noun: "role bindings, ended ones too",
      path,
      filters: { subject: "Id of an account or token", role: "Role", kind: "standing, eligible or elevated", unreviewed: "true: elevations to be reviewed" },
      columns: [
        { title: "subject", value: (row) => row.subjectName ?? row.subject },
        { title: "role", value: (row) => row.role },
        { title: "department", value: (row) => row.department },
        { title: "kind", value: (row) => row.kind },
        { title: "from", value: (row) => localTime(row.validFrom) },
        { title: "until", value: (row) => localTime(row.validUntil) },
        { title: "revoked", value: (row) => localTime(row.revokedAt) },
        { title: "review", value: (row) => row.review?.verdict },
        { title: "reason", value: (row) => row.reason },
        { title: "id", value: (row) => row.id },
      ],
    }),
    grant: defineCommand({
      meta: { name: "grant", description: "Grant a role (security administrators; the first of them by a system administrator)" },
      args: {
        subject: { type: "positional", required: true, description: "Id of the account or token" },
        role: { type: "enum", options: [...Role.options] as string[], required: true, description: "Role" },
        department: { type: "string", description: "The node whose subtree it holds for; left out: everywhere" },
        eligible: { type: "boolean", description: "Only to be activated for a while, with a reason (break-glass)" },
        until: { type: "string", description: "RFC 3339; external auditors need it" },
        "period-from": { type: "string", description: "External auditors: first moment of the records that they see" },
        "period-to": { type: "string", description: "External auditors: end of the records that they see" },
        reason,
        json,
      },
      async run({ args }) {
        const made = await clientFromEnvironment().post<RoleBinding>(path, {
          subject: args.subject,
          role: args.role,
          department: args.department ?? null,
          kind: args.eligible ? "eligible" : "standing",
          validUntil: args.until ?? null,
          periodFrom: args["period-from"] ?? null,
          periodTo: args["period-to"] ?? null,
          reason: args.reason,
        });
        showOne(made, args.json);
      },
    }),
    revoke: defineCommand({
      meta: { name: "revoke", description: "Take a role away at once" },
      args: { id, reason, json },
      run: async ({ args }) => showOne(await clientFromEnvironment().post<RoleBinding>(`${path}/${args.id}/revoke`, { reason: args.reason }), args.json),
    }),
    elevate: defineCommand({
      meta: { name: "elevate", description: "Break-glass: take a role that you are eligible for, for a while" },
      args: { id, reason, minutes: { type: "string", default: "60", description: "5 to 480" }, json },
      run: async ({ args }) =>
        showOne(
          await clientFromEnvironment().post<RoleBinding>(`${path}/${args.id}/elevate`, { reason: args.reason, minutes: Number(args.minutes) }),
          args.json,
        ),
    }),
    review: defineCommand({
      meta: { name: "review", description: "Say whether an elevation was justified (audit administrators)" },
      args: {
        id,
        verdict: { type: "enum", options: ["justified", "unjustified"] as string[], required: true, description: "Verdict" },
        comment: { type: "string", required: true, description: "Why" },
        json,
      },
      run: async ({ args }) =>
        showOne(await clientFromEnvironment().post<RoleBinding>(`${path}/${args.id}/review`, { verdict: args.verdict, comment: args.comment }), args.json),
    }),
  },
});
