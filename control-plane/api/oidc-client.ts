/** Identity providers as OpenID Connect clients see them: `openid-client` does the protocol and every check of it. */
import {
  allowInsecureRequests,
  authorizationCodeGrant,
  buildAuthorizationUrl,
  buildEndSessionUrl,
  calculatePKCECodeChallenge,
  type Configuration,
  discovery,
  enableNonRepudiationChecks,
  None,
  randomNonce,
  randomPKCECodeVerifier,
  randomState,
} from "openid-client";
import { Refusal } from "../domain/refusal.ts";
import { providerContext, type ProviderRow } from "../store/identity-providers.ts";
import { NotAdmitted } from "../store/identities.ts";
import type { AppDeps } from "./deps.ts";
import { type LogoutToken, readLogoutToken } from "./logout-token.ts";

/** A provider changes its keys and addresses rarely; keys that are not known yet are asked for anew by themselves. */
const rememberedMs = 10 * 60_000;
const timeoutSeconds = 10;
const known = new Map<string, { until: number; configuration: Promise<Configuration> }>();

const isLoopback = ({ hostname }: URL) => hostname === "127.0.0.1" || hostname === "[::1]" || hostname === "localhost";

/** @throws Refusal rule-broken for one that cannot be trusted on its way: https only, but for this machine where that is allowed */
export function requireSecureIssuer(issuer: string, deps: Pick<AppDeps, "oidcLoopback">): void {
  const url = new URL(issuer);
  if (url.protocol === "https:" || (deps.oidcLoopback === true && isLoopback(url))) return;
  throw new Refusal("rule-broken", "An identity provider is reached by https only.", { errors: [{ pointer: "/issuer", detail: "begins with http:" }] });
}

/** @throws NotAdmitted provider-unreachable */
async function configurationOf(provider: ProviderRow, deps: AppDeps): Promise<Configuration> {
  requireSecureIssuer(provider.issuer, deps);
  const key = `${provider.id} ${provider.revision}`;
  const there = known.get(key);
  if (there && there.until > Date.now()) return there.configuration;
  const secret = provider.secret_sealed === null ? undefined : deps.unseal(providerContext(provider.id), provider.secret_sealed);
  const configuration = discovery(new URL(provider.issuer), provider.client_id, secret, secret === undefined ? None() : undefined, {
    timeout: timeoutSeconds,
    // The ID token's signature is checked though it came from the provider itself: it may have passed through others' hands there.
    execute: [enableNonRepudiationChecks, ...(provider.issuer.startsWith("http:") ? [allowInsecureRequests] : [])],
  }).catch((error: unknown) => {
    known.delete(key);
    deps.log.warn({ provider: provider.id, error: String(error) }, "an identity provider does not answer");
    throw new NotAdmitted("provider-unreachable");
  });
  known.set(key, { until: Date.now() + rememberedMs, configuration });
  return configuration;
}

export interface Departure {
  url: URL;
  state: string;
  nonce: string;
  verifier: string;
}

/** Where the browser goes, with what its return is checked against. @throws NotAdmitted provider-unreachable */
export async function departTo(provider: ProviderRow, redirectUri: string, deps: AppDeps): Promise<Departure> {
  const configuration = await configurationOf(provider, deps);
  const [state, nonce, verifier] = [randomState(), randomNonce(), randomPKCECodeVerifier()];
  const url = buildAuthorizationUrl(configuration, {
    redirect_uri: redirectUri,
    scope: provider.scopes,
    state,
    nonce,
    code_challenge: await calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
  });
  return { url, state, nonce, verifier };
}

/**
 * Exchanges what the browser brought back for the person's claims: issuer, audience, signature, times, nonce, state and PKCE are checked.
 * @param returned the address that the browser came back by, as the provider knows it
 * @throws NotAdmitted provider-unreachable, provider-refused
 */
export async function claimsFrom(
  provider: ProviderRow,
  returned: URL,
  expected: Omit<Departure, "url">,
  deps: AppDeps,
): Promise<{ claims: Readonly<Record<string, unknown>> & { sub: string }; idToken: string }> {
  const configuration = await configurationOf(provider, deps);
  try {
    const tokens = await authorizationCodeGrant(configuration, returned, {
      expectedState: expected.state,
      expectedNonce: expected.nonce,
      pkceCodeVerifier: expected.verifier,
      idTokenExpected: true,
    });
    return { claims: tokens.claims()!, idToken: tokens.id_token! };
  } catch (error) {
    deps.log.warn({ provider: provider.id, error: String(error), code: (error as { code?: string }).code }, "a sign-in by an identity provider failed");
    throw new NotAdmitted(error instanceof TypeError && error.message === "fetch failed" ? "provider-unreachable" : "provider-refused");
  }
}

/** Where the browser signs out of the provider too; undefined: the provider knows no such thing, or doesn't answer. @param back where it comes back to */
export async function endSessionUrl(provider: ProviderRow, idToken: string, back: string, deps: AppDeps): Promise<string | undefined> {
  try {
    const configuration = await configurationOf(provider, deps);
    if (configuration.serverMetadata().end_session_endpoint === undefined) return undefined;
    return buildEndSessionUrl(configuration, { id_token_hint: idToken, post_logout_redirect_uri: back }).href;
  } catch (error) {
    if (error instanceof NotAdmitted) return undefined;
    throw error;
  }
}

/** What the provider ends. @throws Refusal malformed, NotAdmitted provider-unreachable */
export async function logoutFrom(provider: ProviderRow, token: string, deps: AppDeps): Promise<LogoutToken> {
  const { jwks_uri: jwksUri } = (await configurationOf(provider, deps)).serverMetadata();
  if (jwksUri === undefined) throw new NotAdmitted("provider-refused");
  return readLogoutToken(token, { issuer: provider.issuer, clientId: provider.client_id, jwksUri });
}
