/** Identity providers (统一身份认证, OpenID Connect): who else signs people in, and which of their claims give which roles. */
import { z } from "zod";
import { Id, Reference, Revision, Time, Title } from "./common.ts";
import { Role } from "./roles.ts";

const Issuer = z
  .string()
  .trim()
  .max(500)
  .refine((text) => {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    return url !== undefined && /^https?:$/.test(url.protocol) && url.username === "" && url.search === "" && url.hash === "";
  }, "the provider's issuer, such as https://sso.example.gov.cn")
  .meta({ example: "https://sso.example.gov.cn" });
const Scopes = z
  .string()
  .trim()
  .regex(/^openid( [\x21\x23-\x5b\x5d-\x7e]+)*$/, "begins with openid")
  .max(500);

/** A claim that gives a role: its value, or one of its values, is the one that is named. */
export const ClaimRule = z
  .strictObject({
    claim: z.string().trim().min(1).max(200).meta({ description: "Name of the claim; dots lead into objects", example: "groups" }),
    value: z.string().trim().min(1).max(200).meta({ example: "zhengyun-approvers-110108" }),
    role: Role.exclude(["auditor"]).meta({ description: "Not the external auditor, who needs an end date and a period" }),
    department: Reference.nullable().default(null).meta({ description: "The node whose subtree it holds for; null: everywhere" }),
  })
  .meta({ id: "ClaimRule" });
export type ClaimRule = z.infer<typeof ClaimRule>;

export const IdentityProvider = z
  .object({
    id: Id,
    nameZh: z.string(),
    nameEn: z.string(),
    issuer: z.string(),
    clientId: z.string(),
    hasSecret: z.boolean(),
    scopes: z.string(),
    makesAccounts: z.boolean().meta({ description: "Whether somebody's first sign-in makes their account; else an administrator links one" }),
    enabled: z.boolean(),
    mapping: z.array(ClaimRule),
    register: z
      .object({ redirectUri: z.string(), postLogoutRedirectUri: z.string(), backChannelLogoutUri: z.string() })
      .meta({ description: "What the provider must be told of us as its client" }),
    createdAt: Time,
    updatedAt: Time,
    revision: Revision,
  })
  .meta({ id: "IdentityProvider" });
export type IdentityProvider = z.infer<typeof IdentityProvider>;

const Settings = {
  nameZh: Title,
  nameEn: Title,
  clientId: z.string().trim().min(1).max(200),
  clientSecret: z.string().min(1).max(1000).nullable().meta({ description: "null: a public client; kept sealed and never shown" }),
  scopes: Scopes,
  makesAccounts: z.boolean(),
  enabled: z.boolean(),
};
export const NewIdentityProvider = z
  .strictObject({
    ...Settings,
    issuer: Issuer,
    clientSecret: Settings.clientSecret.default(null),
    scopes: Scopes.default("openid profile"),
    makesAccounts: z.boolean().default(false),
    enabled: z.boolean().default(true),
  })
  .meta({ id: "NewIdentityProvider" });
export type NewIdentityProvider = z.infer<typeof NewIdentityProvider>;
export const IdentityProviderChange = z.strictObject(Settings).partial().meta({ id: "IdentityProviderChange" });
export type IdentityProviderChange = z.infer<typeof IdentityProviderChange>;
/** Set by a security administrator, as every grant of a role is. */
export const ClaimMapping = z.strictObject({ mapping: z.array(ClaimRule).max(500) }).meta({ id: "ClaimMapping" });

export const Identity = z.object({ subject: z.string(), account: Id, accountName: z.string(), createdAt: Time }).meta({ id: "Identity" });
export const NewIdentity = z
  .strictObject({ account: Id, subject: z.string().min(1).max(255).meta({ description: "The provider's `sub` of the person" }) })
  .meta({ id: "NewIdentity" });

/** What the sign-in page offers. */
export const OfferedProvider = z.object({ id: Id, nameZh: z.string(), nameEn: z.string() }).meta({ id: "OfferedProvider" });
export type OfferedProvider = z.infer<typeof OfferedProvider>;

/** Why a sign-in by a provider did not work; the sign-in page is told by its address. */
export const oidcErrors = {
  "provider-unreachable": {
    zh: "统一身份认证暂时无法访问，请稍后再试，或使用本地账户登录",
    en: "The identity provider does not answer. Try again later, or sign in by name and password",
  },
  "attempt-unknown": {
    zh: "登录请求已失效，或来自另一浏览器，请重新登录",
    en: "This sign-in was begun in another browser, has been used, or is too old. Begin again",
  },
  "provider-refused": { zh: "统一身份认证未通过", en: "The identity provider did not confirm who you are" },
  "no-account": { zh: "您在本平台还没有账户，请联系系统管理员", en: "You have no account here yet: ask a system administrator to link one" },
  "account-disabled": { zh: "您的账户已停用", en: "Your account is disabled" },
  "roles-conflict": {
    zh: "统一身份认证授予了互斥的管理员角色，请联系安全管理员",
    en: "The identity provider gives you administrators' roles that exclude each other: tell a security administrator",
  },
} as const satisfies Record<string, { zh: string; en: string }>;
export type OidcError = keyof typeof oidcErrors;
