/**
 * A state service in a process of its own, to be killed. Arguments: the database's URL, the master key (base64), and for each stack
 * `STACK:ENTRIES`. When of every stack so many journal entries are durable, it kills itself (kill -9). Without stacks it runs on.
 * It begins as a control plane does, by settling what one before it left behind; then it tells its parent its address and a token a stack.
 */
import { departmentStack, settleAll, startStateService } from "../../../../control-plane/state/index.ts";
import { keysFrom } from "../../../../control-plane/state/keys.ts";
import { openDatabase } from "../../../../control-plane/store/database.ts";
import { gate } from "./gate.ts";

export interface Hello {
  url: string;
  tokens: Record<string, string>;
  settled: number;
}

const [url = "", key = "", ...wanted] = process.argv.slice(2);
const limits = wanted.map((one) => one.split(":") as [string, string]);
const { db } = await openDatabase({ url, directory: "unused" });
const settled = await settleAll(db, { everything: true });
const service = await startStateService({ db, keys: keysFrom(Buffer.from(key, "base64")) });
const front = await gate(service.url);
const tokens = Object.fromEntries(limits.map(([stack]) => [stack, service.issueOperationToken(departmentStack(stack), { scope: "up" })]));
const all = limits.filter(([, entries]) => Number(entries) > 0).map(([stack, entries]) => front.after(stack, Number(entries)));
if (all.length > 0) void Promise.all(all).then(() => process.kill(process.pid, "SIGKILL"));
process.send!({ url: front.url, tokens, settled: settled.length } satisfies Hello);
process.on("disconnect", () => process.exit());
