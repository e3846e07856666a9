/** The state service on its own port: for the engines on this machine, and nobody else. */
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { serve } from "@hono/node-server";
import { createOperatorApp, type OperatorAppOptions } from "./operators.ts";
import { createStateApp, type StateAppOptions } from "./app.ts";
import { adoptMasterKey } from "./secrets.ts";
import { type OperationTokens, operationTokens } from "./tokens.ts";

export interface StateServiceOptions extends Omit<StateAppOptions, "tokens"> {
  /** 0 (default) takes a free one. */
  port?: number;
  /** Given only when a service is started anew while its engines go on. */
  tokens?: OperationTokens;
}

export interface StateService extends Pick<OperationTokens, "issueOperationToken" | "revokeOperationToken"> {
  /** For the engine's PULUMI_BACKEND_URL. */
  readonly url: string;
  /** Ends it at once; engines that run go on asking until it is back. */
  close(): Promise<void>;
}

/** @throws MasterKeyError when the database was made with another master key */
export async function startStateService({ port = 0, tokens = operationTokens(), ...options }: StateServiceOptions): Promise<StateService> {
  await adoptMasterKey(options.db, options.keys);
  const app = createStateApp({ ...options, tokens });
  const { promise: listening, resolve, reject } = Promise.withResolvers<AddressInfo>();
  const server = serve({ fetch: app.fetch, hostname: "127.0.0.1", port }, resolve);
  server.once("error", reject);
  const { port: bound } = await listening;
  return {
    url: `http://127.0.0.1:${bound}`,
    issueOperationToken: (stack, operation) => tokens.issueOperationToken(stack, operation),
    revokeOperationToken: (token) => tokens.revokeOperationToken(token),
    close: () =>
      new Promise((closed, failed) => {
        server.close((error) => (error ? failed(error) : closed()));
        if ("closeAllConnections" in server) server.closeAllConnections();
      }),
  };
}

/** Where operators' own `pulumi` may connect. */
export interface OperatorListen {
  host: string;
  /** 0 takes a free one. */
  port: number;
  /** PEM. */
  certificate: string;
  key: string;
}

/** The state service's face for people, over TLS only. */
export async function startOperatorService(
  { host, port, certificate, key }: OperatorListen,
  options: OperatorAppOptions,
): Promise<{ url: string; close(): Promise<void> }> {
  const { promise: listening, resolve, reject } = Promise.withResolvers<AddressInfo>();
  const server = serve(
    { fetch: createOperatorApp(options).fetch, hostname: host, port, createServer, serverOptions: { cert: certificate, key, minVersion: "TLSv1.2" } },
    resolve,
  );
  server.once("error", reject);
  const { port: bound } = await listening;
  return {
    url: `https://${host.includes(":") ? `[${host}]` : host}:${bound}`,
    close: () =>
      new Promise((closed, failed) => {
        server.close((error) => (error ? failed(error) : closed()));
        if ("closeAllConnections" in server) server.closeAllConnections();
      }),
  };
}
