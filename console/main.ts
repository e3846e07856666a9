/** The frame: who am I, where can I go, what is live. */
import { css, html, LitElement, nothing } from "lit";
import { msg, updateWhenLocaleChanges } from "@lit/localize";
import type { z } from "zod";
import type { Event as Happened, Session, SignedOut } from "../control-plane/contract/access.ts";
import type { Unread } from "../control-plane/contract/notices.ts";
import { ApiProblem, get, remove, signInLink } from "./client/index.ts";
import { live } from "./client/live.ts";
import { roleNames } from "../control-plane/contract/roles.ts";
import { isSupervision, pendingOf } from "./pending.ts";
import { choose, getLocale, start } from "./locales/index.ts";
import { ownCards, places } from "./navigation.ts";
import { api, pages } from "./paths.ts";
import { followLinks, renderRoute, type Route } from "./router.ts";
import { shared } from "./styles.ts";
import "./pages/accounts.ts";
import "./pages/approval-policy.ts";
import "./pages/audit.ts";
import "./pages/account.ts";
import "./pages/calendars.ts";
import "./pages/delegations.ts";
import "./pages/department.ts";
import "./pages/inbox.ts";
import "./pages/maintenance.ts";
import "./components/bell.ts";
import "./pages/new-request.ts";
import "./pages/notices.ts";
import "./pages/project.ts";
import "./pages/quota-findings.ts";
import "./pages/request.ts";
import "./pages/requests.ts";
import "./pages/roles.ts";
import "./pages/set-up.ts";
import "./pages/sign-in.ts";
import "./pages/supervision.ts";
import "./pages/supervision-card.ts";
import "./pages/supervision-mine.ts";
import "./pages/supervision-rules.ts";
import "./pages/usage.ts";
import "./pages/drift.ts";
import "./pages/adoptions.ts";
import "./pages/losses.ts";
import "./pages/snapshots.ts";
import "./pages/images.ts";
import "./pages/members.ts";
import "./pages/operation-plan.ts";
import "./pages/host-session.ts";
import "./pages/host-sessions.ts";
import "./pages/terminal.ts";
import "./pages/pools.ts";
import "./pages/webhooks.ts";

type Me = z.infer<typeof Session>;

/** A one-time link is used by nobody who is signed in: what it opens is another account. */
const setsUp = () => location.pathname === "/set-up";

/** How often it is asked how many notices are unread. */
const unreadMs = 30_000;

class App extends LitElement {
  #me: Me | undefined;
  #signedOut = false;
  #connected = false;
  #tokenRefused = false;
  #unread = 0;
  /** Cards and corrections that wait for the reader. */
  #pending = 0;

  static override styles = [
    shared,
    css`
      header {
        display: flex;
        flex-wrap: wrap;
        gap: 0.5rem 1.25rem;
        align-items: center;
        background: var(--surface);
        border-bottom: 1px solid var(--line);
        padding: 0.6rem 1.25rem;
      }
      header strong {
        font-size: 1.1rem;
      }
      header nav {
        display: flex;
        flex-wrap: wrap;
        gap: 0.25rem 1rem;
        flex: 1 0 100%;
        order: 1;
      }
      header strong {
        margin-right: auto;
      }
      header nav a {
        white-space: nowrap;
        padding: 0.25rem 0;
      }
      main {
        padding: 1.25rem;
        max-width: 84rem;
        margin: 0 auto;
      }
      main:focus {
        outline: none;
      }
      .skip {
        position: absolute;
        left: -999px;
      }
      .skip:focus {
        left: 1rem;
        top: 0.5rem;
        background: var(--surface);
        padding: 0.5rem;
      }
    `,
  ];

  readonly #routes: Route[] = [
    {
      pattern: new URLPattern({ pathname: "/" }),
      render: () => html`<zy-usage-page .open=${this.#query("open")} .month=${this.#query("month")}></zy-usage-page>`,
    },
    { pattern: new URLPattern({ pathname: "/account" }), render: () => html`<zy-account-page></zy-account-page>` },
    { pattern: new URLPattern({ pathname: "/notices" }), render: () => html`<zy-notices-page></zy-notices-page>` },
    { pattern: new URLPattern({ pathname: "/drift" }), render: () => html`<zy-drift-page></zy-drift-page>` },
    {
      pattern: new URLPattern({ pathname: "/images" }),
      render: () => html`<zy-images-page .changes=${this.#holds("operations")}></zy-images-page>`,
    },
    {
      pattern: new URLPattern({ pathname: "/members" }),
      render: () => html`<zy-members-page .changes=${this.#holds("operations")}></zy-members-page>`,
    },
    {
      pattern: new URLPattern({ pathname: "/operation-plans/:id" }),
      render: ({ id }) => html`<zy-operation-plan-page .plan=${id} .me=${this.#me?.id ?? ""} .changes=${this.#holds("operations")}></zy-operation-plan-page>`,
    },
    {
      pattern: new URLPattern({ pathname: "/pools" }),
      render: () => html`<zy-pools-page .changes=${this.#holds("operations")}></zy-pools-page>`,
    },
    {
      pattern: new URLPattern({ pathname: "/maintenance" }),
      render: () => html`<zy-maintenance-page .changes=${this.#holds("operations")}></zy-maintenance-page>`,
    },
    {
      pattern: new URLPattern({ pathname: "/webhooks" }),
      render: () => html`<zy-webhooks-page .state=${this.#query("state")} .changes=${this.#holds("system-admin")}></zy-webhooks-page>`,
    },
    { pattern: new URLPattern({ pathname: "/adoptions" }), render: () => html`<zy-adoptions-page .pool=${this.#query("pool")}></zy-adoptions-page>` },
    {
      pattern: new URLPattern({ pathname: "/losses" }),
      render: () => html`<zy-losses-page .me=${this.#me?.id ?? ""} .decides=${this.#holds("operations")}></zy-losses-page>`,
    },
    {
      pattern: new URLPattern({ pathname: "/accounts" }),
      render: () => html`<zy-accounts-page .changes=${this.#holds("system-admin")}></zy-accounts-page>`,
    },
    {
      pattern: new URLPattern({ pathname: "/roles" }),
      render: () =>
        html`<zy-roles-page
          .role=${this.#query("role")}
          .unreviewed=${this.#query("unreviewed") === "true"}
          .grants=${this.#holds("security-admin")}
          .reviews=${this.#holds("audit-admin")}
        ></zy-roles-page>`,
    },
    {
      pattern: new URLPattern({ pathname: "/delegations" }),
      render: () => html`<zy-delegations-page .me=${this.#me?.id ?? ""} .decides=${this.#holds("approver", "authority")}></zy-delegations-page>`,
    },
    {
      pattern: new URLPattern({ pathname: "/quota-findings" }),
      render: () => html`<zy-quota-findings-page .state=${this.#query("state")} .changes=${this.#holds("operations")}></zy-quota-findings-page>`,
    },
    {
      pattern: new URLPattern({ pathname: "/departments/:id/approval-policy" }),
      render: ({ id }) => html`<zy-approval-policy-page .department=${id} .changes=${this.#holds("security-admin")}></zy-approval-policy-page>`,
    },
    {
      pattern: new URLPattern({ pathname: "/departments/:id" }),
      render: ({ id }) =>
        html`<zy-department-page
          .department=${id}
          .enters=${this.#holds("applicant", "operations")}
          .asks=${this.#holds("applicant", "operations")}
        ></zy-department-page>`,
    },
    {
      pattern: new URLPattern({ pathname: "/volumes/:id/snapshots" }),
      render: ({ id }) =>
        html`<zy-snapshots-page
          .volume=${id}
          .me=${this.#me?.id ?? ""}
          .asks=${this.#holds("applicant", "operations")}
          .owns=${this.#holds("applicant", "approver")}
        ></zy-snapshots-page>`,
    },
    {
      pattern: new URLPattern({ pathname: "/calendars" }),
      render: () => html`<zy-calendars-page .changes=${this.#holds("system-admin")}></zy-calendars-page>`,
    },
    {
      pattern: new URLPattern({ pathname: "/hosts/:id/terminal" }),
      render: ({ id }) =>
        html`<zy-terminal-page .host=${id} .name=${this.#query("name")} .operates=${this.#holds("operations", "system-admin")}></zy-terminal-page>`,
    },
    {
      pattern: new URLPattern({ pathname: "/host-sessions" }),
      render: () =>
        html`<zy-host-sessions-page
          .host=${this.#query("host")}
          .owns=${this.#holds("applicant", "approver")}
          .replays=${this.#holds("applicant", "security-admin", "audit-admin")}
        ></zy-host-sessions-page>`,
    },
    {
      pattern: new URLPattern({ pathname: "/host-sessions/:id" }),
      render: ({ id }) => html`<zy-host-session-page .session=${id}></zy-host-session-page>`,
    },
    { pattern: new URLPattern({ pathname: "/inbox" }), render: () => html`<zy-inbox-page .state=${this.#query("state")}></zy-inbox-page>` },
    {
      pattern: new URLPattern({ pathname: "/projects/:id" }),
      render: ({ id }) => html`<zy-project-page .project=${id} .roles=${this.#me?.roles.map(({ role }) => role) ?? []}></zy-project-page>`,
    },
    {
      pattern: new URLPattern({ pathname: "/audit" }),
      render: () =>
        html`<zy-audit-page
          .search=${new URL(location.href).search}
          .exports=${this.#me?.roles.some(({ role, department }) => (role === "audit-admin" || role === "auditor") && department === null) ?? false}
        ></zy-audit-page>`,
    },
    {
      pattern: new URLPattern({ pathname: "/supervision" }),
      render: () => html`<zy-supervision-page .search=${new URL(location.href).search}></zy-supervision-page>`,
    },
    { pattern: new URLPattern({ pathname: "/supervision/mine" }), render: () => html`<zy-own-cards-page .state=${this.#query("state")}></zy-own-cards-page>` },
    {
      pattern: new URLPattern({ pathname: "/supervision/rules" }),
      render: () => html`<zy-supervision-rules-page .changes=${this.#holds("supervision")}></zy-supervision-rules-page>`,
    },
    {
      pattern: new URLPattern({ pathname: "/supervision/cards/:id" }),
      render: ({ id }) =>
        html`<zy-supervision-card-page
          .card=${id}
          .me=${this.#me?.id ?? ""}
          .oversees=${this.#holds("supervision", "audit-admin", "auditor")}
          .decides=${this.#holds("supervision")}
        ></zy-supervision-card-page>`,
    },
    { pattern: new URLPattern({ pathname: "/requests" }), render: () => html`<zy-requests-page .state=${this.#query("state")}></zy-requests-page>` },
    {
      pattern: new URLPattern({ pathname: "/requests/new" }),
      render: () => html`<zy-new-request-page .department=${this.#query("department")}></zy-new-request-page>`,
    },
    {
      pattern: new URLPattern({ pathname: "/requests/:id" }),
      render: ({ id }) =>
        html`<zy-request-page
          .request=${id}
          .decides=${this.#holds("approver", "authority")}
          .asks=${this.#holds("applicant", "operations")}
          .owns=${this.#holds("applicant", "approver") && !this.#holds("operations", "system-admin")}
          .speaks=${this.#holds("applicant", "approver", "authority", "finance", "supervision", "operations")}
        ></zy-request-page>`,
    },
  ];
  #holds = (...roles: Me["roles"][number]["role"][]) => this.#me?.roles.some(({ role }) => roles.includes(role)) ?? false;
  #query = (name: string) => new URL(location.href).searchParams.get(name) ?? "";

  constructor() {
    super();
    updateWhenLocaleChanges(this);
  }
  override connectedCallback(): void {
    super.connectedCallback();
    const moved = (event: Event) => {
      this.requestUpdate();
      // A tree that opens is no new page: the focus stays on its button.
      if (event instanceof CustomEvent && (event.detail as { samePage: boolean }).samePage) return;
      this.renderRoot.querySelector<HTMLElement>("main")?.focus();
    };
    globalThis.addEventListener("popstate", moved);
    globalThis.addEventListener("zy-route", moved);
    globalThis.addEventListener("zy-signed-out", () => {
      this.#signedOut = true;
      this.requestUpdate();
    });
    this.addEventListener("click", followLinks);
    globalThis.addEventListener("zy-unread", (event) => this.#showUnread((event as CustomEvent<number>).detail));
    globalThis.addEventListener("zy-events", () => void this.#countUnread());
    void this.#identify();
  }

  async #identify(): Promise<void> {
    try {
      this.#me = await get<Me>(api.me);
      void this.#countUnread();
      setInterval(() => void this.#countUnread(), unreadMs);
      live(
        api.events,
        (events: Happened[]) => {
          globalThis.dispatchEvent(new CustomEvent("zy-events", { detail: events }));
          if (events.some(isSupervision)) void this.#count();
        },
        (up) => {
          this.#connected = up;
          this.requestUpdate();
        },
      );
      void this.#count();
    } catch (error) {
      this.#signedOut = error instanceof ApiProblem && error.problem.status === 401;
    }
    this.requestUpdate();
  }
  #showUnread(unread: number): void {
    this.#unread = unread;
    this.requestUpdate();
  }
  #counting = false;
  /** After what happened, and from time to time: not everything that one is told is an event of the page. */
  async #countUnread(): Promise<void> {
    if (this.#counting || !this.#me) return;
    this.#counting = true;
    try {
      this.#showUnread((await get<Unread>(api.unreadNotices)).unread);
    } catch {
      // The next time; who is signed out is told so by the page.
    } finally {
      this.#counting = false;
    }
  }
  async #count(): Promise<void> {
    this.#pending = await pendingOf().catch(() => this.#pending);
    this.requestUpdate();
  }
  async #signOut(): Promise<void> {
    const done = await remove<SignedOut>(api.me).catch(() => undefined);
    // Out of the identity provider too, which sends the browser back.
    location.assign(done?.providerLogout ?? pages.usage());
  }

  override render() {
    const other = getLocale() === "en" ? ("zh-CN" as const) : ("en" as const);
    return html`<a class="skip" href="#main" @click=${() => this.renderRoot.querySelector<HTMLElement>("main")?.focus()}>${msg("跳到内容", { id: "skip" })}</a>
      <header>
        <strong>政云 Zhengyun</strong>
        <nav aria-label=${msg("主导航", { id: "main-nav" })}>
          ${places
            .filter((place) => place.roles === undefined || this.#holds(...place.roles) || (place === ownCards && this.#pending > 0))
            .map(
              (place) =>
                html`<a href=${place.path}
                  >${place.name()}${place === ownCards && this.#pending > 0 ? html` <strong class="warn">(${this.#pending})</strong>` : nothing}</a
                >`,
            )}
        </nav>
        ${this.#me ? html`<span class=${this.#connected ? "good" : "warn"}>${this.#connected ? `● ${msg("实时", { id: "live" })}` : `○ ${msg("连接中断", { id: "not-live" })}`}</span><zy-bell .unread=${this.#unread}></zy-bell><span><a href=${pages.account()}>${this.#me.name}</a> · ${[...new Set(this.#me.roles.map(({ role }) => roleNames[role][getLocale() === "en" ? "en" : "zh"]))].join(", ")}</span>` : nothing}
        <button @click=${() => choose(other)} lang=${other}>${other === "en" ? "English" : "中文"}</button>
        ${this.#me ? html`<button @click=${() => this.#signOut()}>${msg("退出", { id: "sign-out" })}</button>` : nothing}
      </header>
      <main id="main" tabindex="-1">
        ${setsUp() ? html`<zy-set-up-page></zy-set-up-page>` : this.#signedOut ? this.#signIn() : nothing}
        ${
          this.#me && !setsUp()
            ? (renderRoute(this.#routes, location.href) ??
              html`<h1>404</h1>
                <p>${msg("没有这个页面。", { id: "no-page" })}</p>`)
            : nothing
        }
      </main>`;
  }

  #signIn() {
    return html`<div class="card">
      <h1>${msg("请登录", { id: "sign-in" })}</h1>
      <zy-sign-in></zy-sign-in>
      <p>${msg("用一次性登录链接登录。运维人员可生成：", { id: "sign-in-how" })} <code>zhengyun session link</code></p>
      <form class="bar" @submit=${(event: SubmitEvent) => this.#signInWith(event)}>
        <label>${msg("或使用令牌", { id: "token" })}<input name="token" type="password" autocomplete="off" required size="40" /></label>
        <button>${msg("使用令牌", { id: "with-token" })}</button>
      </form>
      ${this.#tokenRefused ? html`<p class="bad" role="alert">✕ ${msg("令牌无效或已过期。", { id: "token-refused" })}</p>` : nothing}
    </div>`;
  }

  /** A token makes a one-time link of its own; the token itself is kept nowhere. */
  async #signInWith(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const token = new FormData(event.target as HTMLFormElement).get("token");
    try {
      const { path } = await signInLink(typeof token === "string" ? token.trim() : "");
      location.assign(path);
    } catch {
      this.#tokenRefused = true;
      this.requestUpdate();
    }
  }
}
customElements.define("zy-app", App);
await start();
