/** What the engine calls back during one operation: the program (Pulumi's LanguageRuntime) and the ear for its events. */
import * as grpc from "@grpc/grpc-js";
import nothing from "google-protobuf/google/protobuf/empty_pb.js";
import type { EngineEvent } from "@pulumi/pulumi/automation/events.js";
import type { PulumiFn } from "@pulumi/pulumi/automation/index.js";
import engine from "@pulumi/pulumi/proto/engine_grpc_pb.js";
import engines from "@pulumi/pulumi/proto/engine_pb.js";
import type { LogRequest } from "@pulumi/pulumi/proto/engine_pb.js";
import events from "@pulumi/pulumi/proto/events_grpc_pb.js";
import type { EventRequest } from "@pulumi/pulumi/proto/events_pb.js";
import language from "@pulumi/pulumi/proto/language_grpc_pb.js";
import messages from "@pulumi/pulumi/proto/language_pb.js";
import type { RunRequest } from "@pulumi/pulumi/proto/language_pb.js";
import plugin from "@pulumi/pulumi/proto/plugin_pb.js";
import * as config from "@pulumi/pulumi/runtime/config.js";
import * as settings from "@pulumi/pulumi/runtime/settings.js";
import * as root from "@pulumi/pulumi/runtime/stack.js";
import * as state from "@pulumi/pulumi/runtime/state.js";
import { dropTraces } from "./sdk-without-traces.ts";

dropTraces();

/** Each run has its own copy of the SDK's settings, so that programs of several departments run side by side. Not in the SDK's types. */
const { withLocalStorage, getStore } = state as unknown as {
  withLocalStorage<T>(run: () => Promise<T>): Promise<T>;
  getStore(): { settings: { engine?: grpc.Client } };
};

/**
 * A client of the engine that keeps the SDK's debug messages to itself: there are several a resource, each a call, one
 * after the other over all runs (one slow engine would hold up all the others), and the engine throws them away.
 */
function quietEngine(address: string): grpc.Client {
  const client = new engine.EngineClient(address, grpc.credentials.createInsecure(), LIMITS);
  const log = client.log.bind(client) as (request: LogRequest, done: grpc.requestCallback<unknown>) => grpc.ClientUnaryCall;
  return Object.assign(client, {
    log: (request: LogRequest, done: grpc.requestCallback<unknown>) =>
      request.getSeverity() === engines.LogSeverity.DEBUG ? done(null, new nothing.Empty()) : log(request, done),
  });
}

const LIMITS = { "grpc.max_receive_message_length": 400 * 1024 * 1024, "grpc.max_send_message_length": 400 * 1024 * 1024 };

export interface ProgramHost {
  /** host:port, for `--client` and `--event-log tcp://`. */
  address: string;
  close(): void;
}

/**
 * Runs the program against the engine that asked. Failures of single resources are the engine's to report; what is
 * returned is the message of an exception in the program itself.
 */
async function run(program: PulumiFn, request: RunRequest): Promise<string | undefined> {
  return withLocalStorage(async () => {
    settings.resetOptions(
      request.getProject(),
      request.getStack(),
      request.getParallel(),
      request.getArgsList()[0] ?? "",
      request.getMonitorAddress(),
      request.getDryrun(),
      request.getOrganization(),
    );
    getStore().settings.engine = quietEngine(request.getArgsList()[0] ?? "");
    config.setAllConfig({}, []);
    try {
      await root.runInPulumiStack(program);
      await settings.disconnect(true);
      return undefined;
    } catch (error) {
      await settings.disconnect(false);
      return error instanceof Error ? error.message : String(error);
    } finally {
      // The SDK closes only its process-wide clients; a run's own ones would stay open for ever.
      for (const client of [settings.getMonitor(), settings.getEngine()]) (client as grpc.Client | undefined)?.close();
    }
  });
}

/** Serves a program and listens for the engine's events, on a free port of 127.0.0.1. */
export async function serveProgram(program: PulumiFn, onEvent: (event: EngineEvent) => void): Promise<ProgramHost> {
  const server = new grpc.Server(LIMITS);
  server.addService(language.LanguageRuntimeService, {
    getRequiredPlugins: (_call: unknown, callback: grpc.sendUnaryData<unknown>) => callback(null, new messages.GetRequiredPluginsResponse()),
    getRequiredPackages: (_call: unknown, callback: grpc.sendUnaryData<unknown>) => callback(null, new messages.GetRequiredPackagesResponse()),
    getPluginInfo: (_call: unknown, callback: grpc.sendUnaryData<unknown>) => {
      const info = new plugin.PluginInfo();
      info.setVersion("1.0.0");
      callback(null, info);
    },
    run: (call: grpc.ServerUnaryCall<RunRequest, unknown>, callback: grpc.sendUnaryData<unknown>) => {
      run(program, call.request).then(
        (message) => {
          const response = new messages.RunResponse();
          if (message !== undefined) response.setError(message);
          callback(null, response);
        },
        (error: Error) => callback({ code: grpc.status.UNKNOWN, message: error.message }),
      );
    },
  });
  server.addService(events.EventsService, {
    streamEvents: (call: grpc.ServerReadableStream<EventRequest, unknown>, callback: grpc.sendUnaryData<unknown>) => {
      call.on("data", (request: EventRequest) => onEvent(JSON.parse(request.getEvent()) as EngineEvent));
      call.on("end", () => callback(null, new nothing.Empty()));
      call.on("error", () => {});
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound)));
  });
  return { address: `127.0.0.1:${port}`, close: () => server.forceShutdown() };
}
