/** The `zhengyun` command: a client of the API. */
import { defineCommand, runMain, showUsage } from "citty";
import { ApiProblem } from "./client.ts";
import { CityFileInvalid } from "./city-file.ts";
import { backups, restores } from "./commands/backups.ts";
import { city } from "./commands/city.ts";
import { plans, prices } from "./commands/plans.ts";
import { pools } from "./commands/pools.ts";
import { applications } from "./commands/registry.ts";
import { session, tokens } from "./commands/access.ts";
import { audit } from "./commands/audit.ts";
import { calendars, delegations, inbox, policies as approvalPolicies } from "./commands/inbox.ts";
import { accounts, ownTokens } from "./commands/accounts.ts";
import { image } from "./commands/image.ts";
import { identityProviders } from "./commands/identity-providers.ts";
import { login, logout, setUp } from "./commands/login.ts";
import { members, operations } from "./commands/operations.ts";
import { notices } from "./commands/notices.ts";
import { webhooks } from "./commands/webhooks.ts";
import { departments } from "./commands/departments.ts";
import { consents } from "./commands/consents.ts";
import { hostSessions } from "./commands/host-sessions.ts";
import { adoptions } from "./commands/adoptions.ts";
import { drift } from "./commands/drift.ts";
import { hosts, policies, volumes } from "./commands/resources.ts";
import { snapshots } from "./commands/snapshots.ts";
import { roles } from "./commands/roles.ts";
import { losses } from "./commands/losses.ts";
import { maintenance } from "./commands/maintenance.ts";
import { terms } from "./commands/terms.ts";
import { quotas } from "./commands/quotas.ts";
import { requests } from "./commands/requests.ts";
import { stack } from "./commands/stack.ts";
import { supervision } from "./commands/supervision.ts";
import { system } from "./commands/system.ts";
import { register, usage } from "./commands/usage.ts";

const main = defineCommand({
  meta: { name: "zhengyun", version: "0.1.0", description: "政云 Zhengyun: the government cloud control plane" },
  subCommands: {
    city,
    departments,
    quotas,
    plans,
    terms,
    prices,
    applications,
    pools,
    members,
    operations,
    maintenance,
    losses,
    image,
    requests,
    inbox,
    delegations,
    notices,
    webhooks,
    "approval-policies": approvalPolicies,
    calendars,
    supervision,
    hosts,
    "host-sessions": hostSessions,
    consents,
    volumes,
    "backup-policies": policies,
    backups,
    restores,
    snapshots,
    usage,
    register,
    stack,
    drift,
    adoptions,
    system,
    audit,
    "set-up": setUp,
    login,
    logout,
    accounts,
    "identity-providers": identityProviders,
    tokens,
    token: ownTokens,
    roles,
    session,
  },
});

/** One readable refusal instead of a stack trace; exit code 1, or 2 for what the caller typed. */
function refuse(error: unknown): never {
  if (error instanceof ApiProblem) {
    const { problem } = error;
    console.error(`${problem.title}${problem.detail ? `: ${problem.detail}` : ""}`);
    for (const one of problem.errors ?? []) console.error(`  ${one.pointer}: ${one.detail}`);
    for (const one of problem.limits ?? []) {
      console.error(
        `  ${one.departmentName} ${one.dimension}: asked ${one.asked}, left ${one.left} of ${one.limit} (reserved ${one.reserved}, used ${one.used}); raised by ${one.raisedBy}`,
      );
    }
    for (const one of problem.funds ?? []) {
      const [left, amount, asked] = [one.leftFen, one.amountFen, one.askedFen].map((fen) => (fen / 100).toFixed(2));
      console.error(`  ${one.projectCode} ${one.kind} fund ${one.fiscalYear}: asked ${asked} yuan, left ${left} of ${amount}; raised by ${one.raisedBy}`);
    }
    if (problem.remedy) console.error(problem.remedy);
    if (problem.correlationId) console.error(`correlation id ${problem.correlationId}`);
    process.exit(problem.status >= 500 ? 3 : 1);
  }
  console.error(error instanceof CityFileInvalid ? error.message : error instanceof Error ? error.message : String(error));
  process.exit(error instanceof CityFileInvalid ? 2 : 1);
}

process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

const rawArgs = process.argv.slice(2);
if (rawArgs.length === 0) {
  await showUsage(main);
} else if (rawArgs.some((argument) => argument === "--help" || argument === "-h" || argument === "--version")) {
  await runMain(main, { rawArgs });
} else {
  const { runCommand } = await import("citty");
  try {
    await runCommand(main, { rawArgs });
  } catch (error) {
    if (error instanceof Error && error.name === "CLIError") {
      console.error(`${error.message}\nRun \`zhengyun ${rawArgs[0] ?? ""} --help\` for what there is.`);
      process.exit(2);
    }
    refuse(error);
  }
}
