/** The cookie that a browser's session lives in: out of scripts' reach, never sent by another site, over https bound to this very host. */
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import { sessionSeconds } from "../../store/sessions.ts";
import type { ApiContext } from "../deps.ts";

const name = "zhengyun_session";
/** Browsers take a cookie with this prefix only with Secure, for the whole of the host and for no other. */
const hostName = `__Host-${name}`;

/** Directly, or by a proxy in front that says so. */
export const isHttps = (c: ApiContext): boolean => c.req.url.startsWith("https:") || c.req.header("x-forwarded-proto") === "https";

/** Over https only the one that no neighbouring host can have set. */
export const readSessionCookie = (c: ApiContext): string | undefined => getCookie(c, isHttps(c) ? hostName : name);

export function setSessionCookie(c: ApiContext, secret: string): void {
  const secure = isHttps(c);
  setCookie(c, secure ? hostName : name, secret, { httpOnly: true, sameSite: "Strict", path: "/", maxAge: sessionSeconds, secure });
}

export function dropSessionCookie(c: ApiContext): void {
  const secure = isHttps(c);
  deleteCookie(c, secure ? hostName : name, { path: "/", secure });
}
