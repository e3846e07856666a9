/** Supervision cards: the board of supervision and auditors, and each person's own. */
import { pageOf } from "../../contract/common.ts";
import {
  CardAcceptance,
  CardAnswer,
  CardColour,
  CardCounts,
  CardCountsQuery,
  CardQuery,
  OwnCardQuery,
  SupervisionCard,
  SupervisionCardDetail,
} from "../../contract/supervision.ts";
import { within } from "../../domain/authority.ts";
import type { Db } from "../../store/database.ts";
import { requireVisible } from "../../store/departments.ts";
import { acceptAnswer, answerCard, type CardFilter, countCards, getCard, listCards } from "../../store/supervision-cards.ts";
import type { App, AppDeps, Principal } from "../deps.ts";
import { etag, requireMatch } from "../middleware/etag.ts";
import { idempotent } from "../middleware/idempotency.ts";
import { byId, defineRoute, jsonAnswer, jsonBody } from "../route.ts";
import { departmentsAsked } from "../scope.ts";
import { cardDetail, shownCard } from "../supervision.ts";

const path = "/api/v1/supervision-cards";
const ownPath = "/api/v1/account/supervision-cards";
const tags = ["supervision"];
const list = defineRoute({
  method: "get",
  path,
  tags,
  summary: "The supervision board: cards in what the caller supervises or audits, newest first",
  request: { query: CardQuery },
  responses: { 200: jsonAnswer(pageOf(SupervisionCard)) },
});
const counts = defineRoute({
  method: "get",
  path: "/api/v1/supervision-counts",
  tags,
  summary: "How many cards of each colour there are and wait, and what is late",
  request: { query: CardCountsQuery },
  responses: { 200: jsonAnswer(CardCounts) },
});
const get = defineRoute({
  method: "get",
  path: `${path}/{id}`,
  tags,
  summary: "A card with its timeline and corrections",
  request: { ...byId },
  responses: { 200: jsonAnswer(SupervisionCardDetail) },
});
const accept = defineRoute({
  method: "post",
  path: `${path}/{id}/accept`,
  tags,
  summary: "The answer is enough",
  conditional: true,
  request: { ...byId, body: jsonBody(CardAcceptance) },
  responses: { 200: jsonAnswer(SupervisionCardDetail) },
});
const own = defineRoute({
  method: "get",
  path: ownPath,
  tags,
  summary: "Cards that concern the caller, or whom they are the superior of; newest first",
  request: { query: OwnCardQuery },
  responses: { 200: jsonAnswer(pageOf(SupervisionCard)) },
});
const getOwn = defineRoute({
  method: "get",
  path: `${ownPath}/{id}`,
  tags,
  summary: "A card that names the caller, with its timeline and corrections",
  request: { ...byId },
  responses: { 200: jsonAnswer(SupervisionCardDetail) },
});
const answer = defineRoute({
  method: "post",
  path: `${ownPath}/{id}/answers`,
  tags,
  summary: "Answer a card with the reason; later ones are added to the first",
  conditional: true,
  request: { ...byId, body: jsonBody(CardAnswer) },
  responses: { 200: jsonAnswer(SupervisionCardDetail) },
});

/** What the board shows: of the caller's subtrees, in an external auditor's period. */
export async function boardFilter(db: Db, principal: Principal, department: string | undefined): Promise<Pick<CardFilter, "departmentIds" | "from" | "to">> {
  return { departmentIds: await departmentsAsked(db, principal, department, true), ...within(principal.period, undefined, undefined) };
}

export function registerSupervisionCards(app: App, deps: AppDeps): void {
  app.openapi(list, async (c) => {
    const { department, ...ask } = c.req.valid("query");
    const principal = c.get("principal");
    const { items, next } = await listCards(deps.db, { ...ask, ...(await boardFilter(deps.db, principal, department)) });
    return c.json({ items: items.map((row) => shownCard(row, principal.id, deps.now())), next });
  });
  app.openapi(counts, async (c) => {
    const { colours, ...rest } = await countCards(deps.db, await boardFilter(deps.db, c.get("principal"), c.req.valid("query").department), deps.now());
    const of = (colour: CardColour) => colours.find((one) => one.colour === colour) ?? { pending: 0, all: 0 };
    return c.json({ colours: CardColour.options.map((colour) => ({ colour, pending: of(colour).pending, all: of(colour).all })), ...rest });
  });
  app.openapi(get, async (c) => {
    const principal = c.get("principal");
    const row = await getCard(deps.db, c.req.valid("param").id, await boardFilter(deps.db, principal, undefined));
    return c.json(await cardDetail(deps.db, row, principal.id, deps.now()), 200, { etag: etag(row.revision) });
  });
  app.openapi(accept, (c) =>
    idempotent(c, deps, async (tx) => {
      const { id } = c.req.valid("param");
      const principal = c.get("principal");
      await requireVisible(tx, principal, (await getCard(tx, id)).department_id, "supervision card", id);
      await acceptAnswer(tx, c.get("act"), id, c.req.valid("json").note, (revision) => requireMatch(c, revision));
      const row = await getCard(tx, id);
      return { status: 200, body: await cardDetail(tx, row, principal.id, deps.now()), headers: { etag: etag(row.revision) } };
    }),
  );
  app.openapi(own, async (c) => {
    const { id: person } = c.get("principal");
    const { items, next } = await listCards(deps.db, { ...c.req.valid("query"), person });
    return c.json({ items: items.map((row) => shownCard(row, person, deps.now())), next });
  });
  app.openapi(getOwn, async (c) => {
    const { id: person } = c.get("principal");
    const row = await getCard(deps.db, c.req.valid("param").id, { person });
    return c.json(await cardDetail(deps.db, row, person, deps.now()), 200, { etag: etag(row.revision) });
  });
  app.openapi(answer, (c) =>
    idempotent(c, deps, async (tx) => {
      const { id } = c.req.valid("param");
      await answerCard(tx, c.get("act"), id, c.req.valid("json").text, (revision) => requireMatch(c, revision));
      const row = await getCard(tx, id);
      return { status: 200, body: await cardDetail(tx, row, c.get("principal").id, deps.now()), headers: { etag: etag(row.revision) } };
    }),
  );
}
