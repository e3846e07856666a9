/**
 * A provider of "things" for the state service's tests: a thing is a file in the directory that argument 2 names, so that
 * a test can count what really exists. Creating is get-or-create by name. The programs of things run here too, as in the
 * engine worker, so that an engine killed in the middle of one doesn't upset the test. Tells its parent its port first, then each program's address.
 *
 * Inputs: name, value (a change updates), kind (a change replaces), secret, delayMs (how long each effect takes), fail (a message),
 * stuck (a message with which it refuses to be deleted).
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import struct from "google-protobuf/google/protobuf/struct_pb.js";
import messages from "@pulumi/pulumi/proto/provider_pb.js";
import * as provider from "@pulumi/pulumi/provider/index.js";
import { serveProgram } from "../../../../infra/program-host.ts";
import { program, type Thing } from "./program.ts";

const directory = process.argv[2]!;

interface Inputs {
  name: string;
  value: string;
  kind?: string;
  secret?: string;
  delayMs?: number;
  fail?: string;
  stuck?: string;
}

/** `name.kind`: a replacement by another kind is another thing. */
const idOf = ({ name, kind = "plain" }: Inputs) => `${name}.${kind}`;
const fileOf = (id: string) => join(directory, id);

/** The SDK hands secrets over wrapped in some calls and bare in others. */
const bare = (secret: unknown) => (typeof secret === "object" && secret !== null && "value" in secret ? secret.value : secret);

async function effect({ delayMs = 0, fail }: Inputs): Promise<void> {
  await wait(delayMs);
  if (fail) throw new Error(fail);
}

const things: provider.Provider = {
  version: "1.0.0",
  schema: JSON.stringify({ name: "things", version: "1.0.0", resources: { "things:index:Thing": {} } }),
  getSchema: async () => things.schema!,
  check: async (_urn, _olds, news: Inputs) => ({ inputs: news }),
  diff: async (_id, _urn, olds: Inputs, news: Inputs) => ({
    changes: bare(olds.value) !== bare(news.value) || olds.kind !== news.kind || olds.stuck !== news.stuck || bare(olds.secret) !== bare(news.secret),
    replaces: olds.kind === news.kind ? [] : ["kind"],
    deleteBeforeReplace: news.kind === "before",
  }),
  create: async (_urn, inputs: Inputs) => {
    await effect(inputs);
    writeFileSync(fileOf(idOf(inputs)), String(bare(inputs.value)));
    return { id: idOf(inputs), outs: inputs };
  },
  read: async (id, _urn, props) => {
    if (!existsSync(fileOf(id))) return { id: "", props: {} };
    const value = readFileSync(fileOf(id), "utf8");
    if (Object.keys(props).length > 0) return { id, props: { ...props, value } };
    // Without properties it is an import, which needs the inputs too.
    const [name, kind] = id.split(".") as [string, string];
    const found = { name, value, ...(kind !== "plain" && { kind }) };
    return { id, props: found, inputs: found };
  },
  update: async (id, _urn, _olds, news: Inputs) => {
    await effect(news);
    writeFileSync(fileOf(id), String(bare(news.value)));
    return { outs: news };
  },
  delete: async (id, _urn, props: Inputs) => {
    await wait(props.delayMs ?? 0);
    if (props.stuck) throw new Error(props.stuck);
    rmSync(fileOf(id), { force: true });
  },
};

// The SDK's provider trips over a read without properties, which is how an import begins.
const { getProperties } = messages.ReadRequest.prototype;
messages.ReadRequest.prototype.getProperties = function (this: messages.ReadRequest) {
  return getProperties.call(this) ?? new struct.Struct();
};

/** The port that `main` prints goes to the parent; its messages are programs to be served. */
process.stdout.write = (text) => process.send!(String(text).trim());
void provider.main(things, []);
// It also writes each refusal of ours to the console; the engine is told anyway.
console.error = () => {};
process.on("message", (wanted: Thing[]) => void serveProgram(program(wanted), () => {}).then(({ address }) => process.send!(address)));
process.on("disconnect", () => process.exit());
// When the engine is killed in the middle, the SDK's calls to it fail with nobody waiting for them.
process.on("unhandledRejection", () => {});
