/** Every address of the console and of the API that it calls is built here alone. */
const query = (values: Record<string, string | undefined>) => {
  const given = Object.entries(values).filter((entry): entry is [string, string] => entry[1] !== undefined && entry[1] !== "");
  return given.length === 0 ? "" : `?${new URLSearchParams(given).toString()}`;
};

/** What auditors look for; days as YYYY-MM-DD. */
export type AuditSearch = Partial<Record<"actor" | "action" | "result" | "department" | "subject" | "correlation" | "from" | "to" | "cursor", string>>;

/** What is looked for on the supervision board. */
export type CardSearch = Partial<Record<"state" | "colour" | "department" | "rule" | "cursor", string>>;

export const pages = {
  usage: (state: { open?: string; month?: string } = {}) => `/${query(state)}`,
  department: (id: string) => `/departments/${id}`,
  inbox: (state?: string) => `/inbox${query({ state })}`,
  project: (id: string) => `/projects/${id}`,
  requests: (state?: string) => `/requests${query({ state })}`,
  request: (id: string) => `/requests/${id}`,
  audit: (search: AuditSearch = {}) => `/audit${query(search)}`,
  supervision: (search: CardSearch = {}) => `/supervision${query(search)}`,
  supervisionCard: (id: string) => `/supervision/cards/${id}`,
  supervisionRules: () => "/supervision/rules",
  ownCards: (state?: string) => `/supervision/mine${query({ state })}`,
  account: () => "/account",
  notices: () => "/notices",
  webhooks: (state?: string) => `/webhooks${query({ state })}`,
  calendars: () => "/calendars",
  newRequest: (department?: string) => `/requests/new${query({ department })}`,
};

const v1 = "/api/v1";
export const api = {
  me: `${v1}/sessions/current`,
  signIn: `${v1}/sign-in`,
  readLink: `${v1}/account-links/read`,
  useLink: `${v1}/account-links/use`,
  account: `${v1}/account`,
  password: `${v1}/account/password`,
  totp: `${v1}/account/totp`,
  totpConfirm: `${v1}/account/totp/confirm`,
  totpRemove: `${v1}/account/totp/remove`,
  notifications: `${v1}/account/notifications`,
  notices: (ask: { cursor?: string } = {}) => `${v1}/notices${query(ask)}`,
  unreadNotices: `${v1}/notices/unread`,
  readNotices: `${v1}/notices/read`,
  webhooks: `${v1}/webhooks`,
  webhook: (id: string) => `${v1}/webhooks/${id}`,
  testWebhook: (id: string) => `${v1}/webhooks/${id}/test`,
  rotateWebhook: (id: string) => `${v1}/webhooks/${id}/rotate-secret`,
  deliveries: (ask: { state?: string; cursor?: string } = {}) => `${v1}/deliveries${query(ask)}`,
  redeliver: (id: string) => `${v1}/deliveries/${id}/redeliver`,
  sessions: `${v1}/sessions`,
  session: (id: string) => `${v1}/sessions/${id}`,
  links: `${v1}/sessions/links`,
  events: `${v1}/events`,
  requestEvents: (id: string) => `${v1}/requests/${id}/events`,
  register: `${v1}/register.csv`,
  audit: (search: AuditSearch = {}) => `${v1}/audit${query(search)}`,
  auditExport: `${v1}/audit/export`,
  calendars: (ask: { cursor?: string; limit?: string } = {}) => `${v1}/calendars${query(ask)}`,
  calendar: (year: number) => `${v1}/calendars/${year}`,
  catalogue: `${v1}/catalogue`,
  departments: `${v1}/departments`,
  department: (id: string) => `${v1}/departments/${id}`,
  projects: (department: string, cursor?: string) => `${v1}/projects${query({ department, limit: "500", cursor })}`,
  project: (id: string) => `${v1}/projects/${id}`,
  projectSteps: (id: string) => `${v1}/projects/${id}/steps`,
  applications: (department?: string, cursor?: string) => `${v1}/applications${query({ department, limit: "500", cursor })}`,
  usage: (ask: { department?: string; depth?: string; from?: string; to?: string } = {}) => `${v1}/usage${query(ask)}`,
  held: (
    noun: "hosts" | "volumes" | "backup-policies" | "backups" | "restores",
    ask: { department?: string; application?: string; cursor?: string; limit?: string },
  ) => `${v1}/${noun}${query(ask)}`,
  volume: (id: string) => `${v1}/volumes/${id}`,
  whatIf: `${v1}/requests/what-if`,
  backups: `${v1}/backups`,
  restores: `${v1}/restores`,
  requests: (ask: { state?: string; department?: string; cursor?: string } = {}) => `${v1}/requests${query(ask)}`,
  request: (id: string) => `${v1}/requests/${id}`,
  decide: (id: string, how: "submit" | "approve" | "reject" | "return" | "answer" | "withdraw" | "accept-trial" | "refuse-trial") =>
    `${v1}/requests/${id}/${how}`,
  decision: (id: string) => `${v1}/requests/${id}/decision`,
  inbox: (ask: { state: "todo" | "done"; cursor?: string }) => `${v1}/inbox${query(ask)}`,
  signInProviders: `${v1}/sign-in/providers`,
  signInBy: (provider: string) => `/sign-in/oidc/${provider}/start`,
  cards: (search: CardSearch = {}) => `${v1}/supervision-cards${query(search)}`,
  cardCounts: (department?: string) => `${v1}/supervision-counts${query({ department })}`,
  card: (id: string) => `${v1}/supervision-cards/${id}`,
  acceptCard: (id: string) => `${v1}/supervision-cards/${id}/accept`,
  ownCards: (search: { state?: string; cursor?: string } = {}) => `${v1}/account/supervision-cards${query(search)}`,
  ownCard: (id: string) => `${v1}/account/supervision-cards/${id}`,
  answerCard: (id: string) => `${v1}/account/supervision-cards/${id}/answers`,
  corrections: (search: { state?: string; department?: string } = {}) => `${v1}/corrections${query(search)}`,
  moveCorrection: (id: string, how: "close" | "reopen") => `${v1}/corrections/${id}/${how}`,
  ownCorrections: (search: { state?: string } = {}) => `${v1}/account/corrections${query(search)}`,
  correctionDone: (id: string) => `${v1}/account/corrections/${id}/done`,
  supervisionRules: (whole = true) => `${v1}/supervision-rules${query(whole ? { limit: "500" } : {})}`,
  supervisionRule: (id: string) => `${v1}/supervision-rules/${id}`,
  comments: (id: string, whole = true) => `${v1}/requests/${id}/comments${query(whole ? { limit: "500" } : {})}`,
  evidence: (id: string, whole = true) => `${v1}/requests/${id}/evidence${query(whole ? { limit: "500" } : {})}`,
  evidenceFile: (id: string, evidence: string) => `${v1}/requests/${id}/evidence/${evidence}`,
};
