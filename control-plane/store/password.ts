/** Password hashes: argon2id with OWASP's parameters, in the PHC form, so that a hash names what it was made with. */
import { argon2, randomBytes, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";

const derive = promisify(argon2);
/** OWASP's minimum: 19 MiB, two passes, one lane. */
const parameters = { memory: 19_456, passes: 2, parallelism: 1 };
const tagLength = 32;
const form = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/;

const bare = (bytes: Buffer) => bytes.toString("base64").replace(/=+$/, "");
/** The same letters, however a keyboard made them. */
const message = (password: string) => Buffer.from(password.normalize("NFKC"), "utf8");

export async function hashPassword(password: string): Promise<string> {
  const nonce = randomBytes(16);
  const tag = await derive("argon2id", { message: message(password), nonce, tagLength, ...parameters });
  return `$argon2id$v=19$m=${parameters.memory},t=${parameters.passes},p=${parameters.parallelism}$${bare(nonce)}$${bare(tag)}`;
}

const nobodys = `$argon2id$v=19$m=${parameters.memory},t=${parameters.passes},p=${parameters.parallelism}$${bare(Buffer.alloc(16))}$${bare(Buffer.alloc(tagLength))}`;

/** Takes as long for an account that has no password, or is none, as for one that has. */
export async function verifyPassword(hash: string | null | undefined, password: string): Promise<boolean> {
  const read = form.exec(hash ?? nobodys);
  if (!read) throw new Error("a password hash has an unknown form");
  const [, memory, passes, parallelism, nonce = "", kept = ""] = read;
  const expected = Buffer.from(kept, "base64");
  const tag = await derive("argon2id", {
    message: message(password),
    nonce: Buffer.from(nonce, "base64"),
    tagLength: expected.length,
    memory: Number(memory),
    passes: Number(passes),
    parallelism: Number(parallelism),
  });
  return timingSafeEqual(tag, expected) && hash !== null && hash !== undefined;
}
