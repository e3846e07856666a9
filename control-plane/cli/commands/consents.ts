/** Consents of owners to operations: asked, answered, taken back. */
import { defineCommand } from "citty";
import type { Consent } from "../../contract/consents.ts";
import { json } from "../arguments.ts";
import { clientFromEnvironment } from "../client.ts";
import { localTime, showOne } from "../output.ts";
import { listCommand } from "./list.ts";
import { showCommand } from "./show.ts";

const ask = defineCommand({
  meta: { name: "ask", description: "Ask an owner to let operations in" },
  args: {
    host: { type: "string", description: "Id of a host" },
    application: { type: "string", description: "Id of an application: all of its hosts" },
    purpose: { type: "string", required: true, description: "What for" },
    minutes: { type: "string", description: "How long it is to hold from when it is granted, at most 1440", default: "60" },
    everybody: { type: "boolean", description: "For all operations staff, not for oneself alone", default: false },
    json,
  },
  async run({ args }) {
    const body = {
      host: args.host ?? null,
      application: args.application ?? null,
      to: args.everybody ? "operations" : "me",
      purpose: args.purpose,
      minutes: Number(args.minutes),
    };
    showOne(await clientFromEnvironment().post<Consent>("/api/v1/consents", body), args.json);
  },
});

const answer = (verb: "grant" | "refuse" | "revoke", description: string) =>
  defineCommand({
    meta: { name: verb, description },
    args: {
      id: { type: "positional", required: true, description: "Id of the consent" },
      reason: { type: "string", required: verb === "refuse", description: "Why", default: verb === "refuse" ? undefined : "" },
      json,
    },
    async run({ args }) {
      showOne(await clientFromEnvironment().post<Consent>(`/api/v1/consents/${encodeURIComponent(args.id)}/${verb}`, { reason: args.reason ?? "" }), args.json);
    },
  });

export const consents = defineCommand({
  meta: { name: "consents", description: "Owners' consents (授权) to operations" },
  subCommands: {
    list: listCommand<Consent>({
      noun: "consents",
      path: "/api/v1/consents",
      filters: { department: "Id or code of a department", host: "Id of a host", state: "asked, lapsed, granted, over, refused, withdrawn or revoked" },
      columns: [
        { title: "state", value: (row) => row.state },
        { title: "what", value: (row) => row.hostName ?? row.applicationName },
        { title: "to", value: (row) => (row.grantee === null ? "operations" : row.granteeName) },
        { title: "purpose", value: (row) => row.purpose },
        { title: "until", value: (row) => localTime(row.validUntil) },
        { title: "minutes", value: (row) => row.minutes },
        { title: "id", value: (row) => row.id },
      ],
    }),
    show: showCommand("consents", "/api/v1/consents"),
    ask,
    grant: answer("grant", "Consent, for the owning department"),
    refuse: answer("refuse", "Say no"),
    revoke: answer("revoke", "Take it back: whoever is inside by it is out within a second"),
  },
});
