import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { keysFrom, loadKeys, MasterKeyError } from "../../../control-plane/state/keys.ts";

let directory: string;
beforeEach(() => void (directory = mkdtempSync(join(tmpdir(), "zy-keys-"))));
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe("the master key", () => {
  it("is made once, for its owner's eyes only", () => {
    const first = loadKeys({ directory, environment: {} });
    const file = join(directory, "keys", "master.key");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(join(directory, "keys")).mode & 0o777).toBe(0o700);
    expect(Buffer.from(readFileSync(file, "utf8"), "base64")).toHaveLength(32);
    expect(readdirSync(join(directory, "keys"))).toEqual(["master.key"]);
    const second = loadKeys({ directory, environment: {} });
    expect(second.fingerprint).toBe(first.fingerprint);
    expect(second.unseal("c", first.seal("c", "text"))).toBe("text");
  });

  it("may come from the environment or a file, as base64 or hex", () => {
    const key = randomBytes(32);
    const expected = keysFrom(key).fingerprint;
    const file = join(directory, "given");
    writeFileSync(file, `${key.toString("base64")}\n`);
    for (const environment of [
      { ZHENGYUN_MASTER_KEY: key.toString("base64") },
      { ZHENGYUN_MASTER_KEY: key.toString("hex") },
      { ZHENGYUN_MASTER_KEY_FILE: file },
    ]) {
      expect(loadKeys({ directory, environment }).fingerprint).toBe(expected);
    }
    expect(readdirSync(directory)).toEqual(["given"]);
  });

  it("is refused when it is none, and never replaced", () => {
    mkdirSync(join(directory, "keys"));
    writeFileSync(join(directory, "keys", "master.key"), "");
    expect(() => loadKeys({ directory, environment: {} })).toThrow(MasterKeyError);
    expect(readFileSync(join(directory, "keys", "master.key"), "utf8")).toBe("");
    expect(() => loadKeys({ directory, environment: { ZHENGYUN_MASTER_KEY: "short" } })).toThrow("ZHENGYUN_MASTER_KEY");
    expect(() => loadKeys({ directory, environment: { ZHENGYUN_MASTER_KEY_FILE: join(directory, "nowhere") } })).toThrow("nowhere");
  });
});

describe("a sealed text", () => {
  const keys = keysFrom(randomBytes(32));
  const sealed = keys.seal("resources/1", "密码 hunter2");

  it("opens in its context, and no two are equal", () => {
    expect(keys.unseal("resources/1", sealed)).toBe("密码 hunter2");
    expect(keys.seal("resources/1", "密码 hunter2")).not.toBe(sealed);
    expect(keys.unseal("x", keys.seal("x", ""))).toBe("");
  });

  it.each([
    ["in another context", () => keys.unseal("resources/2", sealed)],
    ["under another key", () => keysFrom(randomBytes(32)).unseal("resources/1", sealed)],
    ["cut short", () => keys.unseal("resources/1", sealed.slice(0, 20))],
    ["that isn't one", () => keys.unseal("resources/1", "hunter2")],
  ])("doesn't open %s, and the error tells nothing of it", (_, open) => {
    expect(open).toThrow(MasterKeyError);
    expect(open).not.toThrow("hunter2");
  });

  it("doesn't open with any byte changed", () => {
    const bytes = Buffer.from(sealed.slice(3), "base64url");
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes);
      changed[at]! ^= 1;
      expect(() => keys.unseal("resources/1", `v1.${changed.toString("base64url")}`)).toThrow(MasterKeyError);
    }
  });
});
