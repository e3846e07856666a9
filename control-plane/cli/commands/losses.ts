/** Members that don't answer: what was on each, and giving one up by two people. */
import { defineCommand } from "citty";
import type { MemberLoss } from "../../contract/losses.ts";
import { json } from "../arguments.ts";
import { clientFromEnvironment } from "../client.ts";
import { localTime, show, showOne } from "../output.ts";
import { listCommand } from "./list.ts";

const path = "/api/v1/member-losses";
const id = { type: "positional", required: true, description: "Id of the loss" } as const;
const off = {
  type: "boolean",
  required: true,
  description: "You have made sure that the machine is off: nothing on it may run beside what is made anew",
} as const;

function showLoss(row: MemberLoss, asJson: boolean): void {
  if (asJson) return showOne(row, true);
  const { hosts, requests, pools, plans, ...rest } = row;
  const elsewhere = plans.map((one) => `${one.id} ${one.state}`).join(", ");
  showOne(
    {
      ...rest,
      pools: pools.join(", "),
      plans: elsewhere,
      since: localTime(row.since),
      requests: requests.map((one) => `${one.number} ${one.state}`).join(", "),
    },
    false,
  );
  console.log();
  show(
    hosts,
    [
      { title: "host", value: (one) => one.name },
      { title: "department", value: (one) => one.departmentName },
      { title: "state", value: (one) => one.observedState },
      { title: "remedy", value: (one) => one.remedy },
      {
        title: "by policy",
        value: ({ policy: { action, at, why } }) => `${action}${at === null ? "" : ` from ${localTime(at)}`}${why === null ? "" : `: ${why}`}`,
      },
      {
        title: "volumes on the member",
        value: (one) => one.volumes.map((volume) => `${volume.name} (${volume.backup ? localTime(volume.backup.at) : "no backup"})`).join(", "),
      },
      { title: "id", value: (one) => one.id },
    ],
    false,
  );
}
async function act(of: string, what: "give-up" | "confirm" | "keep", body: unknown, asJson: boolean): Promise<void> {
  const client = clientFromEnvironment();
  const one = `${path}/${encodeURIComponent(of)}`;
  const { revision } = await client.get<MemberLoss>(one);
  showLoss(await client.post<MemberLoss>(`${one}/${what}`, body, { ifMatch: revision }), asJson);
}

export const losses = defineCommand({
  meta: { name: "losses", description: "Members of clusters that don't answer (失联节点)" },
  subCommands: {
    list: listCommand<MemberLoss>({
      noun: "members that did not answer",
      path,
      filters: { state: "lost, asked, confirmed, open (these three), removed or returned" },
      columns: [
        { title: "member", value: (row) => row.member },
        { title: "pools", value: (row) => row.pools.join(", ") },
        { title: "since", value: (row) => localTime(row.since) },
        { title: "state", value: (row) => row.state },
        { title: "hosts", value: (row) => row.hosts.length },
        { title: "error", value: (row) => row.error },
        { title: "id", value: (row) => row.id },
      ],
    }),
    show: defineCommand({
      meta: { name: "show", description: "One, with what was on it and how that may be had again" },
      args: { id, json },
      run: async ({ args }) => showLoss(await clientFromEnvironment().get<MemberLoss>(`${path}/${encodeURIComponent(args.id)}`), args.json),
    }),
    "give-up": defineCommand({
      meta: { name: "give-up", description: "Ask that it is taken out of its cluster, with what lies on its own storage; somebody else must agree" },
      args: { id, reason: { type: "string", required: true, description: "Why" }, "powered-off": off, json },
      run: ({ args }) => act(args.id, "give-up", { reason: args.reason, poweredOff: args["powered-off"] }, args.json),
    }),
    confirm: defineCommand({
      meta: { name: "confirm", description: "Agree to it, as somebody else" },
      args: { id, member: { type: "string", required: true, description: "Its name, typed once more" }, "powered-off": off, json },
      run: ({ args }) => act(args.id, "confirm", { member: args.member, poweredOff: args["powered-off"] }, args.json),
    }),
    keep: defineCommand({
      meta: { name: "keep", description: "Withdraw that, before anybody agreed" },
      args: { id, json },
      run: ({ args }) => act(args.id, "keep", undefined, args.json),
    }),
  },
});
