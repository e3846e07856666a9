/** The master key's way out, for two people. */
import { pageOf, PageQuery } from "../../contract/common.ts";
import { ApprovedKeyEscrow, KeyEscrow, NewKeyEscrow } from "../../contract/system.ts";
import { Refusal } from "../../domain/refusal.ts";
import { approveKeyEscrow, type KeyEscrowRow, listKeyEscrows, requestKeyEscrow } from "../../store/key-escrows.ts";
import type { App, AppDeps } from "../deps.ts";
import { idempotent } from "../middleware/idempotency.ts";
import { byId, defineRoute, jsonAnswer, jsonBody } from "../route.ts";

const path = "/api/v1/system/key-escrows";
const tags = ["system"];
const list = defineRoute({
  method: "get",
  path,
  tags,
  summary: "Who asked for the master key, and who approved",
  request: { query: PageQuery },
  responses: { 200: jsonAnswer(pageOf(KeyEscrow)) },
});
const create = defineRoute({
  method: "post",
  path,
  tags,
  summary: "Ask for the master key, encrypted to a public key",
  request: { body: jsonBody(NewKeyEscrow) },
  responses: { 201: jsonAnswer(KeyEscrow, "Asked; another operator approves within 24 hours") },
});
const approve = defineRoute({
  method: "post",
  path: `${path}/{id}/approve`,
  tags,
  summary: "Approve what another operator asked for; answers the encrypted key",
  request: byId,
  responses: { 200: jsonAnswer(ApprovedKeyEscrow, "The master key, encrypted to the public key that was named") },
});

const show = (row: KeyEscrowRow): KeyEscrow => ({
  id: row.id,
  publicKey: row.public_key,
  reason: row.reason,
  fingerprint: row.fingerprint,
  requestedBy: row.requested_by,
  createdAt: row.created_at.toISOString(),
  expiresAt: row.expires_at.toISOString(),
  approvedBy: row.approved_by,
  approvedAt: row.approved_at?.toISOString() ?? null,
});

export function registerKeyEscrows(app: App, deps: AppDeps): void {
  /** @throws Refusal for what is no key to encrypt to */
  const escrowTo = (publicKey: string) => {
    try {
      return deps.masterKey.escrowTo(publicKey);
    } catch (error) {
      throw new Refusal("rule-broken", (error as Error).message, { errors: [{ pointer: "/publicKey", detail: "is no X25519 public key" }] });
    }
  };
  app.openapi(list, async (c) => {
    const { items, next } = await listKeyEscrows(deps.db, c.req.valid("query"));
    return c.json({ items: items.map(show), next });
  });
  app.openapi(create, (c) =>
    idempotent(c, deps, async (tx) => {
      const body = c.req.valid("json");
      // Tried now, so that nobody approves what can't be done.
      escrowTo(body.publicKey);
      return { status: 201, body: show(await requestKeyEscrow(tx, c.get("act"), { ...body, fingerprint: deps.masterKey.fingerprint })) };
    }),
  );
  app.openapi(approve, (c) =>
    idempotent(c, deps, async (tx) => {
      const row = await approveKeyEscrow(tx, c.get("act"), c.req.valid("param").id, deps.masterKey.fingerprint);
      // Kept nowhere: whoever loses the answer asks anew.
      return { status: 200, body: { ...show(row), sealedKey: escrowTo(row.public_key) }, secret: true };
    }),
  );
}
