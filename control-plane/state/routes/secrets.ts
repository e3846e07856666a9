/** Encrypting and opening the secrets of a stack's state. */
import { Hono } from "hono";
import { callerOf, readable } from "../authorize.ts";
import { readJson } from "../body.ts";
import { ApiError } from "../errors.ts";
import type { Services } from "../services.ts";

const path = "/api/stacks/:org/:project/:stack";

export function secretRoutes({ db, tokens, secrets }: Services): Hono {
  const app = new Hono();
  app.post(`${path}/encrypt`, async (c) => {
    const { stack } = await callerOf(c, db, tokens);
    const { plaintext } = await readJson<{ plaintext?: unknown }>(c);
    const [ciphertext] = await secrets(stack.id).encrypt([bytes(plaintext)]);
    return c.json({ ciphertext: ciphertext!.toString("base64") });
  });
  app.post(`${path}/decrypt`, async (c) => {
    const stack = await readable(c, db, tokens);
    const { ciphertext } = await readJson<{ ciphertext?: unknown }>(c);
    const [plaintext] = await secrets(stack.id).decrypt([bytes(ciphertext)]);
    return c.json({ plaintext: plaintext!.toString("base64") });
  });
  app.post(`${path}/batch-encrypt`, async (c) => {
    const { stack } = await callerOf(c, db, tokens);
    const { plaintexts } = await readJson<{ plaintexts?: unknown }>(c);
    const ciphertexts = await secrets(stack.id).encrypt(list(plaintexts).map(bytes));
    return c.json({ ciphertexts: ciphertexts.map((ciphertext) => ciphertext.toString("base64")) });
  });
  app.post(`${path}/batch-decrypt`, async (c) => {
    const stack = await readable(c, db, tokens);
    const { ciphertexts } = await readJson<{ ciphertexts?: unknown }>(c);
    const given = list(ciphertexts).map(bytes);
    const opened = await secrets(stack.id).decrypt(given);
    return c.json({ plaintexts: Object.fromEntries(given.map((ciphertext, index) => [ciphertext.toString("base64"), opened[index]!.toString("base64")])) });
  });
  // Reports of secrets that another provider opened; there is none here.
  for (const report of ["log-decryption", "log-batch-decryption"]) {
    app.post(`${path}/decrypt/${report}`, async (c) => {
      await readable(c, db, tokens);
      return c.body(null, 204);
    });
  }
  return app;
}

/** Go writes an empty or missing byte slice as null. */
function bytes(base64: unknown): Buffer {
  if (base64 === null || base64 === undefined) return Buffer.alloc(0);
  if (typeof base64 !== "string") throw new ApiError(400, "Bytes are expected as base64.");
  return Buffer.from(base64, "base64");
}

function list(value: unknown): unknown[] {
  if (value === null || value === undefined) return [];
  if (!Array.isArray(value)) throw new ApiError(400, "A list is expected.");
  return value;
}
