import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readConfig } from "../../control-plane/config.ts";

describe("the configuration", () => {
  it("needs nothing", () => {
    expect(readConfig({})).toMatchObject({ host: "127.0.0.1", port: 8080, databaseUrl: undefined, metricsPublic: false });
    expect(readConfig({ DATABASE_URL: "" }).databaseUrl).toBeUndefined();
  });

  it.each(["postgresql://zy:secret@db.example:5432/zhengyun", "postgres://zy@/zhengyun?host=/run/postgresql", "postgresql:///zhengyun"])("takes %s", (url) => {
    expect(readConfig({ DATABASE_URL: url }).databaseUrl).toBe(url);
  });

  it("says of every setting that does not fit what is expected", () => {
    const read = () => readConfig({ DATABASE_URL: "mysql://db", PORT: "70000", ZHENGYUN_LOG_LEVEL: "loud", ZHENGYUN_MASTER_KEY_FILE: "/nowhere/key" });
    expect(read).toThrow(/DATABASE_URL: Not a PostgreSQL URL/);
    expect(read).toThrow(/PORT: .*65535/);
    expect(read).toThrow(/ZHENGYUN_LOG_LEVEL: /);
    expect(read).toThrow(/ZHENGYUN_MASTER_KEY_FILE: ENOENT/);
  });

  it("takes proxies and the audit's settings, and refuses what they cannot be", () => {
    expect(readConfig({}).audit).toEqual({ algorithm: "sha256", checkpointEntries: 1000, checkpointSeconds: 60 });
    expect(readConfig({ ZHENGYUN_TRUSTED_PROXIES: "10.0.0.1, fd00::/8", ZHENGYUN_AUDIT_HASH: "sm3" })).toMatchObject({
      trustedProxies: ["10.0.0.1", "fd00::/8"],
      audit: { algorithm: "sm3" },
    });
    expect(() => readConfig({ ZHENGYUN_TRUSTED_PROXIES: "10.0.0.1,proxy.example" })).toThrow(/ZHENGYUN_TRUSTED_PROXIES: "proxy.example" is no address/);
    expect(() => readConfig({ ZHENGYUN_AUDIT_HASH: "md5" })).toThrow(/ZHENGYUN_AUDIT_HASH: /);
  });

  it("takes every value from a file, without the newline at its end", () => {
    const directory = mkdtempSync(join(tmpdir(), "zhengyun-config-"));
    writeFileSync(join(directory, "url"), "postgresql://zy@db/zhengyun\n");
    expect(readConfig({ DATABASE_URL_FILE: join(directory, "url") }).databaseUrl).toBe("postgresql://zy@db/zhengyun");
    rmSync(directory, { recursive: true });
  });
});
