/** A real OpenID provider on this machine, with people of its own. */
import { randomBytes } from "node:crypto";
import { createServer, type Server } from "node:http";
import { Provider } from "oidc-provider";

export type People = Record<string, Record<string, unknown>>;

export interface OidcProvider {
  issuer: string;
  clientId: string;
  clientSecret: string;
  /** By `sub`; what is changed here is in the next token. */
  people: People;
  close(): Promise<void>;
}

/** @param options.port that of an issuer that somebody else had */
export async function startOidcProvider(redirectUri: string, people: People, options: { port?: number; clientSecret?: string } = {}): Promise<OidcProvider> {
  const server: Server = createServer();
  await new Promise<void>((done) => server.listen(options.port ?? 0, "127.0.0.1", done));
  const { port } = server.address() as { port: number };
  const issuer = `http://127.0.0.1:${port}`;
  const [clientId, clientSecret] = ["zhengyun", options.clientSecret ?? randomBytes(32).toString("base64url")];
  const provider = new Provider(issuer, {
    clients: [
      { client_id: clientId, client_secret: clientSecret, redirect_uris: [redirectUri], response_types: ["code"], grant_types: ["authorization_code"] },
    ],
    claims: { openid: ["sub"], profile: ["name", "preferred_username", "groups"] },
    // The claims stand in the ID token.
    conformIdTokenClaims: false,
    findAccount: (_context, sub) => (people[sub] ? { accountId: sub, claims: () => ({ sub, ...people[sub] }) } : undefined),
    pkce: { required: () => true },
    cookies: { keys: [randomBytes(32).toString("hex")] },
  });
  const answer = provider.callback();
  server.on("request", (request, response) => void answer(request, response));
  return {
    issuer,
    clientId,
    clientSecret,
    people,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}
