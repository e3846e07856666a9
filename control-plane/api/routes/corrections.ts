/** Corrections (纠错): ordered, closed and opened again by supervision; done by those whom they name. */
import { pageOf } from "../../contract/common.ts";
import { Correction, CorrectionNote, CorrectionQuery, CorrectionReopening, NewCorrection, OwnCorrectionQuery } from "../../contract/supervision.ts";
import type { Tx } from "../../store/database.ts";
import { requireVisible } from "../../store/departments.ts";
import { closeCorrection, getCorrection, listCorrections, orderCorrection, reopenCorrection, reportDone } from "../../store/corrections.ts";
import { getCard } from "../../store/supervision-cards.ts";
import type { ApiContext, App, AppDeps } from "../deps.ts";
import { etag, requireMatch } from "../middleware/etag.ts";
import { type Answer, idempotent } from "../middleware/idempotency.ts";
import { byId, defineRoute, jsonAnswer, jsonBody } from "../route.ts";
import { shownCorrection } from "../supervision.ts";
import { boardFilter } from "./supervision-cards.ts";

const path = "/api/v1/corrections";
const ownPath = "/api/v1/account/corrections";
const tags = ["supervision"];
const list = defineRoute({
  method: "get",
  path,
  tags,
  summary: "Corrections in what the caller supervises or audits, newest first",
  request: { query: CorrectionQuery },
  responses: { 200: jsonAnswer(pageOf(Correction)) },
});
const order = defineRoute({
  method: "post",
  path,
  tags,
  summary: "Order a correction on a card: what, by whom, until when. If-Match names the card's revision",
  conditional: true,
  request: { body: jsonBody(NewCorrection) },
  responses: { 201: jsonAnswer(Correction, "Ordered") },
});
const close = defineRoute({
  method: "post",
  path: `${path}/{id}/close`,
  tags,
  summary: "It has been corrected; the last one closes the card",
  conditional: true,
  request: { ...byId, body: jsonBody(CorrectionNote) },
  responses: { 200: jsonAnswer(Correction) },
});
const reopen = defineRoute({
  method: "post",
  path: `${path}/{id}/reopen`,
  tags,
  summary: "What was done is not enough: to be done until another day",
  conditional: true,
  request: { ...byId, body: jsonBody(CorrectionReopening) },
  responses: { 200: jsonAnswer(Correction) },
});
const own = defineRoute({
  method: "get",
  path: ownPath,
  tags,
  summary: "Corrections that the caller is to make, newest first",
  request: { query: OwnCorrectionQuery },
  responses: { 200: jsonAnswer(pageOf(Correction)) },
});
const done = defineRoute({
  method: "post",
  path: `${ownPath}/{id}/done`,
  tags,
  summary: "It has been corrected: how",
  conditional: true,
  request: { ...byId, body: jsonBody(CorrectionNote) },
  responses: { 200: jsonAnswer(Correction) },
});

export function registerCorrections(app: App, deps: AppDeps): void {
  const shown = async (tx: Tx, id: string, status = 200): Promise<Answer> => {
    const row = await getCorrection(tx, id);
    return { status, body: shownCorrection(row, deps.now()), headers: { etag: etag(row.revision) } };
  };
  /** By supervision, on one that it sees. */
  const supervised = (c: ApiContext, id: string, work: (tx: Tx) => Promise<void>) =>
    idempotent(c, deps, async (tx) => {
      const { department_id } = await getCorrection(tx, id);
      await requireVisible(tx, c.get("principal"), department_id, "correction", id);
      await work(tx);
      return shown(tx, id);
    });

  app.openapi(list, async (c) => {
    const { department, ...ask } = c.req.valid("query");
    const { items, next } = await listCorrections(deps.db, { ...ask, ...(await boardFilter(deps.db, c.get("principal"), department)) }, deps.now());
    return c.json({ items: items.map((row) => shownCorrection(row, deps.now())), next });
  });
  app.openapi(order, (c) =>
    idempotent(c, deps, async (tx) => {
      const ask = c.req.valid("json");
      await requireVisible(tx, c.get("principal"), (await getCard(tx, ask.card)).department_id, "supervision card", ask.card);
      return shown(tx, await orderCorrection(tx, c.get("act"), ask, (revision) => requireMatch(c, revision)), 201);
    }),
  );
  app.openapi(close, (c) => {
    const { id } = c.req.valid("param");
    return supervised(c, id, (tx) => closeCorrection(tx, c.get("act"), id, c.req.valid("json").note, (revision) => requireMatch(c, revision)));
  });
  app.openapi(reopen, (c) => {
    const { id } = c.req.valid("param");
    return supervised(c, id, (tx) => reopenCorrection(tx, c.get("act"), id, c.req.valid("json"), (revision) => requireMatch(c, revision)));
  });
  app.openapi(own, async (c) => {
    const { items, next } = await listCorrections(deps.db, { ...c.req.valid("query"), assignee: c.get("principal").id }, deps.now());
    return c.json({ items: items.map((row) => shownCorrection(row, deps.now())), next });
  });
  app.openapi(done, (c) =>
    idempotent(c, deps, async (tx) => {
      const { id } = c.req.valid("param");
      await reportDone(tx, c.get("act"), id, c.req.valid("json").note, (revision) => requireMatch(c, revision));
      return shown(tx, id);
    }),
  );
}
