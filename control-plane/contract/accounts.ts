/** Accounts, signing in, the second factor and one's own sessions and tokens. */
import { z } from "zod";
import { MadeToken, Token } from "./access.ts";
import { Id, Revision, Time, Title } from "./common.ts";

/** For signing in; upper and lower case are the same. */
export const LoginName = z
  .string()
  .trim()
  .toLowerCase()
  .regex(/^[a-z0-9][a-z0-9._@-]{1,63}$/, "2 to 64 of: a-z, 0-9, dot, dash, underscore, @");
/** Any text: the rules of new passwords are checked apart, so that an answer says which one is broken. */
const Password = z.string().min(1).max(1000);
/** Six digits of the app, or a recovery code. */
const FactorCode = z.string().trim().min(6).max(40);

export const Account = z
  .object({
    id: Id,
    name: z.string(),
    displayName: z.string(),
    kind: z.enum(["person", "service"]),
    /** active; invited: has no way to sign in yet; locked: until lockedUntil; disabled. */
    state: z.enum(["active", "invited", "locked", "disabled"]),
    lockedUntil: Time.nullable(),
    secondFactor: z.boolean(),
    lastSignInAt: Time.nullable(),
    createdAt: Time,
    revision: Revision,
  })
  .meta({ id: "Account" });
export type Account = z.infer<typeof Account>;
export const NewAccount = z
  .strictObject({
    name: LoginName,
    displayName: Title,
    kind: z.enum(["person", "service"]).default("person"),
  })
  .meta({ id: "NewAccount" });
/** `setUp`: where a person sets their password, once; null for a service. */
export const MadeAccount = Account.extend({ setUp: z.object({ path: z.string(), expiresAt: Time }).nullable() }).meta({ id: "MadeAccount" });
export type MadeAccount = z.infer<typeof MadeAccount>;

export const SignIn = z
  .strictObject({
    name: z.string().trim().toLowerCase().min(1).max(64),
    password: Password,
    code: FactorCode.nullable().default(null),
    /** Where the answer was password-expired. */
    newPassword: Password.nullable().default(null),
    /** cookie: for a browser; bearer: the answer holds a secret for a program. */
    session: z.enum(["cookie", "bearer"]).default("cookie"),
  })
  .meta({ id: "SignIn" });
export const SignedIn = z.object({ account: Id, name: z.string(), expiresAt: Time, secret: z.string().nullable() }).meta({ id: "SignedIn" });
export type SignedIn = z.infer<typeof SignedIn>;

const LinkCode = z.string().min(1).max(200);
export const ReadLink = z.strictObject({ code: LinkCode }).meta({ id: "ReadLink" });
/** `bootstrap`: the first administrator chooses a name; `set-up`: the account has one. */
export const LinkPurpose = z
  .object({ purpose: z.enum(["bootstrap", "set-up"]), name: z.string().nullable(), displayName: z.string().nullable() })
  .meta({ id: "LinkPurpose" });
export type LinkPurpose = z.infer<typeof LinkPurpose>;
export const UseLink = z
  .strictObject({ code: LinkCode, password: Password, name: LoginName.nullable().default(null), displayName: Title.nullable().default(null) })
  .meta({ id: "UseLink" });

export const OwnAccount = Account.extend({ passwordSetAt: Time.nullable(), recoveryCodesLeft: z.int() }).meta({ id: "OwnAccount" });
export type OwnAccount = z.infer<typeof OwnAccount>;
export const ChangePassword = z.strictObject({ password: Password, newPassword: Password }).meta({ id: "ChangePassword" });
/** The password once more: a stolen session alone changes none of this. */
export const Again = z.strictObject({ password: Password }).meta({ id: "Again" });
export const NewTotp = z.object({ secret: z.string(), uri: z.string() }).meta({ id: "NewTotp" });
export const ConfirmTotp = z.strictObject({ code: FactorCode }).meta({ id: "ConfirmTotp" });
export const RecoveryCodes = z.object({ recoveryCodes: z.array(z.string()) }).meta({ id: "RecoveryCodes" });
export const RemoveTotp = Again.extend({ code: FactorCode }).meta({ id: "RemoveTotp" });

export const OwnSession = z
  .object({
    id: Id,
    current: z.boolean(),
    source: z.string().nullable(),
    agent: z.string().nullable(),
    createdAt: Time,
    lastSeenAt: Time.nullable(),
    expiresAt: Time,
  })
  .meta({ id: "OwnSession" });
export type OwnSession = z.infer<typeof OwnSession>;

/** read: changes nothing; all: what the account may. It ends within a year. */
const TokenScope = z.enum(["read", "all"]);
export const PersonalToken = Token.extend({ scope: TokenScope }).meta({ id: "PersonalToken" });
export type PersonalToken = z.infer<typeof PersonalToken>;
export const ServiceToken = z.strictObject({ name: Title, scope: TokenScope.default("read"), expiresAt: Time }).meta({ id: "ServiceToken" });
export const NewPersonalToken = ServiceToken.extend({ password: Password }).meta({ id: "NewPersonalToken" });
export const MadePersonalToken = MadeToken.extend({ scope: TokenScope }).meta({ id: "MadePersonalToken" });
