/** An issuer with keys that a test holds: signs whatever the test says, rightly or not. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from "jose";

export interface Issuer {
  issuer: string;
  /** @param options.foreign by a key that is not among its own @param options.typ of the header */
  sign(claims: JWTPayload, options?: { foreign?: boolean; typ?: string }): Promise<string>;
  close(): Promise<void>;
}

export async function startIssuer(): Promise<Issuer> {
  const [own, foreign] = [await generateKeyPair("ES256"), await generateKeyPair("ES256")];
  const jwks = { keys: [{ ...(await exportJWK(own.publicKey)), kid: "1", alg: "ES256", use: "sig" }] };
  const server = createServer((request, response) => {
    const metadata = {
      issuer,
      jwks_uri: `${issuer}/jwks`,
      authorization_endpoint: `${issuer}/auth`,
      token_endpoint: `${issuer}/token`,
      response_types_supported: ["code"],
      subject_types_supported: ["public"],
      id_token_signing_alg_values_supported: ["ES256"],
    };
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(request.url === "/jwks" ? jwks : metadata));
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    issuer,
    sign: (claims, options = {}) =>
      new SignJWT(claims)
        .setProtectedHeader({ alg: "ES256", kid: "1", ...(options.typ === undefined ? {} : { typ: options.typ }) })
        .sign(options.foreign ? foreign.privateKey : own.privateKey),
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

/** A logout token as it should be. */
export const logoutClaims = (of: { issuer: string; clientId: string }, more: JWTPayload = {}): JWTPayload => {
  const now = Math.floor(Date.now() / 1000);
  return {
    iss: of.issuer,
    aud: of.clientId,
    iat: now,
    exp: now + 120,
    jti: crypto.randomUUID(),
    events: { "http://schemas.openid.net/event/backchannel-logout": {} },
    ...more,
  };
};
