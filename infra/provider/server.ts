/**
 * The provider on the wire. The SDK's own server drops what we need (old inputs, preview, detailed differences,
 * partial failures with a code), so this implements Pulumi's ResourceProvider service directly.
 */
import * as grpc from "@grpc/grpc-js";
import anything from "google-protobuf/google/protobuf/any_pb.js";
import nothing from "google-protobuf/google/protobuf/empty_pb.js";
import plugin from "@pulumi/pulumi/proto/plugin_pb.js";
import service from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import proto from "@pulumi/pulumi/proto/provider_pb.js";
import status from "@pulumi/pulumi/proto/status_pb.js";
import type * as messages from "@pulumi/pulumi/proto/provider_pb.js";
import { DriverError } from "../drivers/driver.ts";
import { VERSION, parseUrn } from "../naming.ts";
import * as crud from "./crud.ts";
import type { Definition } from "./definition.ts";
import { DEFINITIONS } from "./definitions.ts";
import { differences } from "./diff.ts";
import { generateSchema } from "./schema.ts";
import type { Scopes } from "./scopes.ts";
import { fromWire, toWire } from "./wire.ts";

/** Larger than any department's message; the engine's own limit is the same. */
const LIMITS = { "grpc.max_receive_message_length": 400 * 1024 * 1024, "grpc.max_send_message_length": 400 * 1024 * 1024 };

function definitionOf(urn: string): Definition {
  const type = parseUrn(urn)?.type ?? urn;
  const definition = DEFINITIONS.get(type);
  if (!definition) throw new DriverError("unknown-type", `this provider has no resource type ${type}`);
  return definition;
}

/** A code and a message that survive the engine: `[code] message`; a partly made thing carries its id and properties. */
function failure(error: unknown): grpc.ServiceError {
  const { code, message } = crud.named(error);
  const text = `[${code}] ${message}`;
  const metadata = new grpc.Metadata();
  if (error instanceof crud.PartlyMade) {
    const detail = new proto.ErrorResourceInitFailed();
    detail.setId(error.id);
    detail.setProperties(toWire(error.properties));
    detail.setReasonsList([text]);
    const any = new anything.Any();
    any.pack(detail.serializeBinary(), "pulumirpc.ErrorResourceInitFailed");
    const rich = new status.Status();
    rich.setCode(grpc.status.UNKNOWN);
    rich.setMessage(text);
    rich.addDetails(any);
    metadata.add("grpc-status-details-bin", Buffer.from(rich.serializeBinary()));
  }
  return Object.assign(new Error(text), { code: grpc.status.UNKNOWN, details: text, metadata });
}

/** A handler as an async function from request to answer. */
function unary<Request, Answer>(handle: (request: Request) => Promise<Answer> | Answer): grpc.handleUnaryCall<Request, Answer> {
  return (call, callback) => {
    const answer = async () => handle(call.request);
    answer().then(
      (message) => callback(null, message),
      (error) => callback(failure(error)),
    );
  };
}

const KINDS = { add: [0, 1], delete: [2, 3], update: [4, 5] } as const;

function diff(request: messages.DiffRequest, scopes: Scopes) {
  const definition = definitionOf(request.getUrn());
  const found = differences(definition, fromWire(request.getOlds()), fromWire(request.getOldInputs()), fromWire(request.getNews()));
  const back = scopes.of(request.getUrn()).putsBack(parseUrn(request.getUrn())?.name ?? "");
  if (back === "anew") found.push({ path: "name", kind: "update", replace: true });
  const response = new proto.DiffResponse();
  response.setChanges(found.length > 0 || back ? proto.DiffResponse.DiffChanges.DIFF_SOME : proto.DiffResponse.DiffChanges.DIFF_NONE);
  response.setDiffsList(found.map((difference) => difference.path));
  response.setReplacesList(found.filter((difference) => difference.replace).map((difference) => difference.path));
  // Names are deterministic: old and new cannot be there at once.
  response.setDeletebeforereplace(true);
  response.setHasdetaileddiff(true);
  for (const difference of found) {
    const detail = new proto.PropertyDiff();
    detail.setKind(KINDS[difference.kind][difference.replace ? 1 : 0]);
    response.getDetaileddiffMap().set(difference.path, detail);
  }
  return response;
}

function check(request: messages.CheckRequest) {
  const definition = definitionOf(request.getUrn());
  const response = new proto.CheckResponse();
  response.setInputs(toWire(crud.checked(definition, fromWire(request.getNews())), definition.secrets));
  return response;
}

function handlers(scopes: Scopes): grpc.UntypedServiceImplementation {
  return {
    handshake: unary(() => {
      const response = new proto.ProviderHandshakeResponse();
      response.setAcceptSecrets(true);
      return response;
    }),
    attach: unary(() => new nothing.Empty()),
    cancel: unary(() => new nothing.Empty()),
    getPluginInfo: unary(() => {
      const response = new plugin.PluginInfo();
      response.setVersion(VERSION);
      return response;
    }),
    getSchema: unary(() => {
      const response = new proto.GetSchemaResponse();
      response.setSchema(JSON.stringify(generateSchema()));
      return response;
    }),
    getMapping: unary(() => new proto.GetMappingResponse()),
    getMappings: unary(() => new proto.GetMappingsResponse()),
    checkConfig: unary((request: messages.CheckRequest) => {
      const response = new proto.CheckResponse();
      response.setInputs(request.getNews());
      return response;
    }),
    diffConfig: unary(() => {
      const response = new proto.DiffResponse();
      response.setChanges(proto.DiffResponse.DiffChanges.DIFF_NONE);
      return response;
    }),
    configure: unary(() => {
      const response = new proto.ConfigureResponse();
      response.setAcceptsecrets(true);
      response.setSupportspreview(true);
      return response;
    }),
    check: unary(check),
    diff: unary((request: messages.DiffRequest) => diff(request, scopes)),
    create: unary(async (request: messages.CreateRequest) => {
      const definition = definitionOf(request.getUrn());
      const made = await scopes.of(request.getUrn()).during((scope) => crud.create(definition, scope, fromWire(request.getProperties()), request.getPreview()));
      const response = new proto.CreateResponse();
      response.setId(made.id);
      response.setProperties(toWire(made.properties));
      return response;
    }),
    update: unary(async (request: messages.UpdateRequest) => {
      const definition = definitionOf(request.getUrn());
      const change = {
        id: request.getId(),
        outputs: fromWire(request.getOlds()),
        oldInputs: fromWire(request.getOldInputs()),
        inputs: fromWire(request.getNews()),
        preview: request.getPreview(),
      };
      const updated = await scopes.of(request.getUrn()).during((scope) => crud.update(definition, scope, change));
      const response = new proto.UpdateResponse();
      response.setProperties(toWire(updated.properties));
      return response;
    }),
    delete: unary(async (request: messages.DeleteRequest) => {
      const inputs = { ...fromWire(request.getOldInputs()), ...fromWire(request.getProperties()) };
      const definition = definitionOf(request.getUrn());
      await scopes.of(request.getUrn()).during((scope) => crud.remove(definition, scope, request.getId(), inputs));
      return new nothing.Empty();
    }),
    read: unary(async (request: messages.ReadRequest) => {
      const definition = definitionOf(request.getUrn());
      const [outputs, inputs] = [fromWire(request.getProperties()), fromWire(request.getInputs())];
      const seen = await scopes.of(request.getUrn()).during((scope) => crud.read(definition, scope, request.getId(), outputs, inputs));
      const response = new proto.ReadResponse();
      if (!seen) return response;
      response.setId(request.getId());
      response.setProperties(toWire(seen.properties));
      response.setInputs(toWire(seen.inputs, definition.secrets));
      return response;
    }),
  };
}

export interface ProviderServer {
  port: number;
  close(): void;
}

/** Serves the provider on a free port of 127.0.0.1, for any number of engines at once. */
export async function serveProvider(scopes: Scopes): Promise<ProviderServer> {
  const server = new grpc.Server(LIMITS);
  server.addService(service.ResourceProviderService, handlers(scopes));
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound)));
  });
  return { port, close: () => server.forceShutdown() };
}
