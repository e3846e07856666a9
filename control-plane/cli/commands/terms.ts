import { defineCommand } from "citty";
import type { TermPolicy } from "../../contract/terms.ts";
import { json } from "../arguments.ts";
import { clientFromEnvironment } from "../client.ts";
import { showOne } from "../output.ts";

const path = "/api/v1/term-policy";

/** @throws Error for what is no whole number of days */
function days(name: string, value: string | undefined, before: number | null): number | null {
  if (value === undefined) return before;
  if (value === "none") return null;
  if (!/^\d+$/.test(value)) throw new Error(`${name} is a whole number of days, not ${value}.`);
  return Number(value);
}

export const terms = defineCommand({
  meta: { name: "terms", description: "Terms (期限): when owners are told, when what is over is stopped and proposed to be reclaimed" },
  subCommands: {
    show: defineCommand({
      meta: { name: "show", description: "Show the policy of terms" },
      args: { json },
      run: async ({ args }) => showOne(await clientFromEnvironment().get<TermPolicy>(path), args.json),
    }),
    set: defineCommand({
      meta: { name: "set", description: "Set it, as the competent authority; what is left out stays as it is" },
      args: {
        notice: { type: "string", description: "Days before a term's end from which a request is expiring" },
        grace: { type: "string", description: "Days after it until its hosts are stopped" },
        stopped: { type: "string", description: "Days after that until it is proposed to retire them" },
        "trial-answer": { type: "string", description: "Days after a trial's end until it counts as accepted; none: it waits for the answer" },
        json,
      },
      async run({ args }) {
        const client = clientFromEnvironment();
        const before = await client.get<TermPolicy>(path);
        const change = {
          noticeDays: days("--notice", args.notice, before.noticeDays),
          graceDays: days("--grace", args.grace, before.graceDays),
          stoppedDays: days("--stopped", args.stopped, before.stoppedDays),
          trialAnswerDays: days("--trial-answer", args["trial-answer"], before.trialAnswerDays),
        };
        showOne(await client.put<TermPolicy>(path, change, before.revision), args.json);
      },
    }),
  },
});
