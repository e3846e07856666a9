/** Stands before a server and does what networks do: answers that come too late or never, connections that are cut. */
import { rmSync } from "node:fs";
import { createServer, type ListenOptions, type Socket } from "node:net";
import { createServer as createTlsServer, type TlsOptions } from "node:tls";

type Fault = { kind: "cut" } | { kind: "late"; ms: number };

/** @param connect to the server @param tls the certificate that the proxy shows; without it clients speak in the clear */
export async function faultyProxy(listen: ListenOptions, connect: () => Socket, tls?: TlsOptions) {
  const awaited = new Map<string, Fault>();
  /** Connections by the first line of what was asked on them last. */
  const open = new Map<Socket, string>();
  let faults = 0;
  const serve = (client: Socket) => {
    const upstream = connect();
    let fault: Fault | undefined;
    client.on("data", (data: Buffer) => {
      const request = data.toString("latin1");
      const begun = [...awaited.keys()].find((one) => request.startsWith(one));
      if (begun !== undefined) {
        fault = awaited.get(begun);
        awaited.delete(begun);
      }
      const [line] = request.split("\r\n");
      if (/^[A-Z]+ \S+ HTTP\/1/.test(line!)) open.set(client, line!);
      upstream.write(data);
    });
    upstream.on("data", (data: Buffer) => {
      if (!fault) return void client.write(data);
      faults++;
      if (fault.kind === "late") return void setTimeout(() => client.write(data), fault.ms);
      client.destroy();
      upstream.destroy();
    });
    const end = () => {
      open.delete(client);
      client.destroy();
      upstream.destroy();
    };
    for (const one of [client, upstream]) one.on("error", end).on("close", end);
  };
  const server = tls ? createTlsServer(tls, serve) : createServer(serve);
  await new Promise<void>((done) => server.listen(listen, done));
  return {
    get port() {
      return (server.address() as { port: number }).port;
    },
    /** The server takes the next request that begins so; its answer is never seen, for the connection is cut when it comes. */
    cutAfter: (request: string) => void awaited.set(request, { kind: "cut" }),
    /** The same, but its answer comes so much later. */
    delayAfter: (request: string, ms: number) => void awaited.set(request, { kind: "late", ms }),
    /** Cuts the connections whose last request began so. @returns how many */
    cutNow: (request: string) => {
      const cut = [...open].filter(([, line]) => line.startsWith(request));
      for (const [client] of cut) client.destroy();
      return cut.length;
    },
    /** How often something was done to an answer. */
    faults: () => faults,
    close: async () => {
      server.close();
      for (const client of open.keys()) client.destroy();
      if (listen.path !== undefined) rmSync(listen.path, { force: true });
    },
  };
}
