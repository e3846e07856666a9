/** A real OpenID provider on this machine, with people of its own. */
import { randomBytes } from "node:crypto";
import { createServer, type Server, type ServerResponse } from "node:http";
import { type ClientMetadata, Provider } from "oidc-provider";

export type People = Record<string, Record<string, unknown>>;

export interface OidcProvider {
  issuer: string;
  clientId: string;
  clientSecret: string;
  /** By `sub`; what is changed here is in the next token. */
  people: People;
  /** Tells it where we are told of logouts, as who registers us does. */
  register(client: { postLogoutRedirectUri: string; backChannelLogoutUri: string }): void;
  /** What becomes of an ID token on its way to us. */
  tamper: ((idToken: string) => Promise<string>) | undefined;
  close(): Promise<void>;
}

/** @param options.port that of an issuer that somebody else had */
export async function startOidcProvider(redirectUri: string, people: People, options: { port?: number; clientSecret?: string } = {}): Promise<OidcProvider> {
  const server: Server = createServer();
  await new Promise<void>((done) => server.listen(options.port ?? 0, "127.0.0.1", done));
  const { port } = server.address() as { port: number };
  const issuer = `http://127.0.0.1:${port}`;
  const cookieKey = randomBytes(32).toString("hex");
  const [clientId, clientSecret] = ["zhengyun", options.clientSecret ?? randomBytes(32).toString("base64url")];
  const made = (more: Partial<ClientMetadata>) =>
    new Provider(issuer, {
      clients: [
        {
          ...more,
          client_id: clientId,
          client_secret: clientSecret,
          redirect_uris: [redirectUri],
          response_types: ["code"],
          grant_types: ["authorization_code"],
        },
      ],
      features: { backchannelLogout: { enabled: true } },
      claims: { openid: ["sub"], profile: ["name", "preferred_username", "groups"] },
      // Its protection would keep it from telling us of logouts: here both are this machine.
      fetch: (url, options) => fetch(url, { ...options, dispatcher: undefined }),
      // The claims stand in the ID token.
      conformIdTokenClaims: false,
      findAccount: (_context, sub) => (people[sub] ? { accountId: sub, claims: () => ({ sub, ...people[sub] }) } : undefined),
      pkce: { required: () => true },
      cookies: { keys: [cookieKey] },
    });
  let answer = made({}).callback();
  server.on("request", (request, response) => {
    if (request.url === "/token" && sso.tamper) tamperWith(response, sso.tamper);
    void answer(request, response);
  });
  const sso: OidcProvider = {
    issuer,
    clientId,
    clientSecret,
    people,
    tamper: undefined,
    register: ({ postLogoutRedirectUri, backChannelLogoutUri }) =>
      void (answer = made({
        post_logout_redirect_uris: [postLogoutRedirectUri],
        backchannel_logout_uri: backChannelLogoutUri,
        backchannel_logout_session_required: true,
      }).callback()),
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
  return sso;
}

/** Puts another ID token into the answer. */
function tamperWith(response: ServerResponse, tamper: (idToken: string) => Promise<string>): void {
  const end = response.end.bind(response);
  response.end = ((body: string) => {
    const answer = JSON.parse(body) as { id_token: string };
    void tamper(answer.id_token).then((id_token) => {
      const text = JSON.stringify({ ...answer, id_token });
      response.setHeader("content-length", Buffer.byteLength(text));
      end(text);
    });
    return response;
  }) as typeof response.end;
}
