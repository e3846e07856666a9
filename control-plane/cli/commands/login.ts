/** Signing in to an account from the terminal. The session's secret lies in a file that only its owner reads. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { defineCommand } from "citty";
import type { LinkPurpose, SignedIn } from "../../contract/accounts.ts";
import { ApiProblem, addressFromEnvironment, clientFromEnvironment, createClient, sessionFile } from "../client.ts";
import { localTime } from "../output.ts";
import { password, prompt } from "../prompt.ts";

const asksFor = (error: unknown, code: string) => error instanceof ApiProblem && error.problem.code === code;

/** The session that was opened is the one that later commands act by. */
function keepSession(url: string, { name, secret, expiresAt }: SignedIn): void {
  const file = sessionFile(url);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  // A file that is there keeps its mode: it is made anew.
  rmSync(file, { force: true });
  writeFileSync(file, `${secret}\n`, { mode: 0o600 });
  console.log(`Signed in as ${name}, until ${localTime(expiresAt)} at the latest.`);
}

export const setUp = defineCommand({
  meta: { name: "set-up", description: "Set your account's password by the one-time link that an administrator gave you" },
  args: {
    link: { type: "positional", required: true, description: "The link, or what stands behind its #" },
    "password-file": { type: "string", description: "Its first line is the new password; left out: asked for" },
  },
  async run({ args }) {
    const client = createClient({ url: addressFromEnvironment(), token: "" });
    const code = args.link.slice(args.link.indexOf("#") + 1);
    const { purpose, name } = await client.post<LinkPurpose>("/api/v1/account-links/read", { code });
    if (purpose === "bootstrap") throw new Error("This link makes the first administrator: open it in a browser.");
    const chosen = await password(args["password-file"], `New password of ${name}`);
    await client.post("/api/v1/account-links/use", { code, password: chosen });
    console.log(`The password is set. Now: zhengyun login ${name}`);
  },
});

export const login = defineCommand({
  meta: { name: "login", description: "Sign in to an account; later commands act as it" },
  args: {
    name: { type: "positional", required: true, description: "Name of the account" },
    "password-file": { type: "string", description: "Its first line is the password; left out: asked for" },
    code: { type: "string", description: "Of the second factor, or a recovery code; left out: asked for when it is needed" },
  },
  async run({ args }) {
    const url = addressFromEnvironment();
    const client = createClient({ url, token: "" });
    const ask = {
      name: args.name,
      password: await password(args["password-file"]),
      code: args.code ?? null,
      newPassword: null as string | null,
      session: "bearer",
    };
    for (;;) {
      try {
        keepSession(url, await client.post<SignedIn>("/api/v1/sign-in", ask));
        return;
      } catch (error) {
        if (asksFor(error, "second-factor-needed") && ask.code === null && process.stdin.isTTY) ask.code = await prompt("Code of the second factor");
        else if (asksFor(error, "password-expired") && ask.newPassword === null && process.stdin.isTTY)
          ask.newPassword = await prompt("The password has expired. New password", { hidden: true });
        else throw error;
      }
    }
  },
});

export const logout = defineCommand({
  meta: { name: "logout", description: "End the session that `login` began" },
  async run() {
    const file = sessionFile(addressFromEnvironment());
    try {
      await clientFromEnvironment().delete("/api/v1/sessions/current");
    } finally {
      rmSync(file, { force: true });
    }
  },
});
