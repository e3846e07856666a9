/** Logout tokens (OpenID Connect Back-Channel Logout 1.0, section 2.6). */
import { createRemoteJWKSet, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from "jose";
import { Refusal } from "../domain/refusal.ts";

const event = "http://schemas.openid.net/event/backchannel-logout";
/** Signatures that only the holder of a private key can make. */
const algorithms = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"];
const keySets = new Map<string, JWTVerifyGetKey>();

export interface LogoutToken {
  jti: string;
  expiresAt: Date;
  /** The provider's session; without it all of the person's sessions end. */
  sid: string | undefined;
  subject: string | undefined;
}

/** @param of whose token it must be @throws Refusal("malformed") that says what is wrong with it */
export async function readLogoutToken(token: string, of: { issuer: string; clientId: string; jwksUri: string }): Promise<LogoutToken> {
  const keys = keySets.get(of.jwksUri) ?? createRemoteJWKSet(new URL(of.jwksUri));
  keySets.set(of.jwksUri, keys);
  const { payload, protectedHeader } = await jwtVerify(token, keys, {
    issuer: of.issuer,
    audience: of.clientId,
    algorithms,
    requiredClaims: ["iat", "exp", "jti", "events"],
    maxTokenAge: 300,
    clockTolerance: 30,
  }).catch((error: unknown) => {
    throw error instanceof errors.JOSEError ? invalid(error.message) : error;
  });
  const { typ = "logout+jwt" } = protectedHeader;
  // An ID token must not pass for a logout token.
  if (!["logout+jwt", "JWT"].includes(typ)) throw invalid(`it is of the type ${typ}`);
  if ("nonce" in payload) throw invalid("it has a nonce");
  return { jti: payload.jti!, expiresAt: new Date(payload.exp! * 1000), ...whose(payload) };
}

function whose({ events, sid, sub }: JWTPayload): Pick<LogoutToken, "sid" | "subject"> {
  if (typeof events !== "object" || events === null || !(event in events)) throw invalid("it is about no logout");
  if (sid !== undefined && typeof sid !== "string") throw invalid("its sid is no text");
  if (sid === undefined && sub === undefined) throw invalid("it names neither a session nor a person");
  return { sid, subject: sub };
}

const invalid = (why: string) =>
  new Refusal("malformed", `This is no logout token for us: ${why}.`, { remedy: "OpenID Connect Back-Channel Logout 1.0, section 2.6" });
