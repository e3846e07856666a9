import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import structs from "google-protobuf/google/protobuf/struct_pb.js";
import { describe, expect, it } from "vitest";
import { findEngine } from "../../infra/engine/engine.ts";
import { attachment } from "../../infra/provider/attachment.ts";
import { DEFINITIONS } from "../../infra/provider/definitions.ts";
import { currentOf, differences } from "../../infra/provider/diff.ts";
import { host } from "../../infra/provider/host.ts";
import { generateSchema, schemaText } from "../../infra/provider/schema.ts";
import { volume } from "../../infra/provider/volume.ts";
import { UNKNOWN, fromWire, toWire } from "../../infra/provider/wire.ts";
import * as make from "./estate.ts";

const schemaFile = path.resolve("infra/provider/schema.json");

describe("the package schema", () => {
  it("is committed as it is generated (npm run generate writes it)", async () => {
    expect(await readFile(schemaFile, "utf8")).toBe(schemaText());
  });

  it("has every resource type, and marks secrets", () => {
    const { resources } = generateSchema();
    expect(Object.keys(resources)).toEqual([...DEFINITIONS.keys()]);
    expect(resources["zhengyun:index:Host"]?.inputProperties["userData"]).toMatchObject({ secret: true });
    expect(resources["zhengyun:index:Host"]?.properties).not.toHaveProperty("userData");
  });

  it("is valid for the engine itself", async () => {
    const home = await mkdtemp(path.join(tmpdir(), "zhengyun-schema-"));
    try {
      const { command } = await findEngine();
      const check = promisify(execFile)(command, ["schema", "check", schemaFile], { env: { PULUMI_HOME: home, HOME: home, PULUMI_SKIP_UPDATE_CHECK: "true" } });
      await expect(check).resolves.toBeDefined();
    } finally {
      await rm(home, { recursive: true });
    }
  });
});

function between(before: object, after: object) {
  return differences(host, { ...before }, { ...before }, { ...after });
}

describe("differences", () => {
  const now = make.host(1);

  it("are none between equal inputs, whatever is absent or undefined", () => {
    expect(between(now, { ...make.host(1), userData: undefined })).toEqual([]);
  });

  it.each([
    ["image", "update" as const, { image: "other" }],
    ["generation", "add" as const, { generation: 2 }],
  ])("of %s replace a host", (path_, kind, change) => {
    expect(between(now, { ...now, ...change })).toEqual([{ path: path_, kind, replace: true }]);
  });

  it.each([
    ["flavour.vcpu", { flavour: { ...now.flavour, vcpu: 2 } }],
    ["sshKeys", { sshKeys: ["ssh-ed25519 AAAA"] }],
    ["ports", { ports: [{ protocol: "tcp", port: 443 }] }],
    ["power", { power: "stopped" }],
    ["pool", { pool: make.id("pol", 2) }],
  ])("of %s are made in place", (path_, change) => {
    expect(between(now, { ...now, ...change })).toEqual([{ path: path_, kind: "update", replace: false }]);
  });

  it("of a value that a preview cannot know count as differences", () => {
    const before = { ...make.attachment(1, 1, 1), pool: make.pool, hostId: "a.1", volumeId: "b.1" };
    expect(differences(attachment, before, before, { ...before, hostId: UNKNOWN })).toEqual([{ path: "hostId", kind: "update", replace: true }]);
  });

  it("of a secret come from the inputs, all others from what is really there", () => {
    const inputs = { ...now, userData: "one" };
    const seen = { ...now, power: "stopped" };
    expect(currentOf(host, seen, inputs)).toMatchObject({ power: "stopped", userData: "one" });
    expect(differences(host, seen, inputs, { ...inputs, userData: "two" }).map((d) => d.path)).toEqual(["userData", "power"]);
  });
});

describe("what cannot be made in place", () => {
  it("is refused with what to do about it", () => {
    expect(volume.refuses?.({ sizeGib: 10 }, make.volume(1, { sizeGib: 5 }))).toBe(
      "sizeGib: a volume cannot shrink from 10 to 5 GiB; ask for 10 GiB or more, or for a new volume",
    );
    expect(volume.refuses?.({ sizeGib: 5 }, make.volume(1, { sizeGib: 5 }))).toBeUndefined();
    expect(host.refuses?.({ flavour: { vcpu: 1, memoryMib: 64, diskGib: 9 } }, make.host(1))).toMatch(/cannot shrink from 9 to 1 GiB/);
  });
});

describe("the wire", () => {
  it("marks secrets on the way out and unwraps them on the way in, at any depth", () => {
    const wire = toWire({ open: 1, hidden: "s", absent: undefined }, ["hidden"]);
    expect(JSON.stringify(wire.toJavaScript())).toContain("1b47061264138c4ac30d75fd1eb44270");
    expect(fromWire(wire)).toEqual({ open: 1, hidden: "s" });
    const nested = structs.Struct.fromJavaScript({ list: [toWire({ a: "x" }, ["a"]).toJavaScript()] as never });
    expect(fromWire(nested)).toEqual({ list: [{ a: "x" }] });
  });
});
