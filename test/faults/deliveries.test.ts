import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { Webhook as Signed } from "standardwebhooks";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { waitFor } from "../../control-plane/cli/wait.ts";
import type { Delivery, MadeWebhook } from "../../control-plane/contract/webhooks.ts";
import { TestPlane } from "../setup/control-plane.ts";

describe("kill -9 of the control plane while a webhook is delivered", () => {
  let plane: TestPlane;
  let server: Server;
  let url: string;
  let received: { headers: Record<string, string>; body: string }[] = [];

  beforeEach(async () => {
    plane = new TestPlane();
    received = [];
    server = createServer((request, response) => {
      let body = "";
      request.setEncoding("utf8").on("data", (chunk: string) => (body += chunk));
      request.on("end", () => {
        received.push({ headers: request.headers as Record<string, string>, body });
        response.writeHead(204).end();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  });
  afterEach(async () => {
    await plane.remove();
    server.close();
  });

  it.each([
    { step: "delivery.taken", times: 1 },
    // Sent and not written down: it comes twice, and the id says so.
    { step: "delivery.sent", times: 2 },
    { step: "delivery.recorded", times: 1 },
  ])("at $step: it arrives, under one id", async ({ step, times }) => {
    const allow = { ZHENGYUN_WEBHOOK_ALLOW: "127.0.0.0/8" };
    await plane.start({ ...allow, ZHENGYUN_FAULT: step });
    const made = await plane.operations.post<MadeWebhook>("/api/v1/webhooks", { name: "W", url, kinds: ["request.active"] });
    const { id } = await plane.operations.post<Delivery>(`/api/v1/webhooks/${made.id}/test`, undefined);
    expect(await plane.exited).toBe("SIGKILL");
    await plane.start(allow);
    const [delivery] = await waitFor(
      async () => (await plane.operations.get<{ items: Delivery[] }>(`/api/v1/webhooks/${made.id}/deliveries`)).items,
      ([one]) => one?.state === "delivered",
      { intervalMs: 50, timeoutMs: 30_000 },
    );
    expect(delivery).toMatchObject({ id, state: "delivered", attempts: step === "delivery.recorded" ? 1 : 2 });
    expect(received.map((one) => one.headers["webhook-id"])).toEqual(Array.from({ length: times }, () => id));
    for (const { headers, body } of received) expect(new Signed(made.secret).verify(body, headers)).toMatchObject({ type: "webhook.test" });
  });
});
