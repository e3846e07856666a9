import * as fc from "fast-check";
import * as pulumi from "@pulumi/pulumi";
import { describe, expect, it } from "vitest";
import { TYPES, parseUrn, urnOf } from "../../infra/naming.ts";
import { departmentProgram } from "../../infra/program.ts";
import { normaliseSpec, type DepartmentSpec, type SpecKind } from "../../infra/spec.ts";
import { attachment, estate, host, policy, volume } from "./estate.ts";

const kind = fc.constantFrom(...(Object.keys(TYPES) as SpecKind[]));
const name = fc.stringMatching(/^[a-z]{3}_[0-9a-z]{26}$/);

describe("names", () => {
  it("give every resource of every department a URN of its own", () => {
    const address = fc.tuple(name, kind, name);
    fc.assert(
      fc.property(address, address, ([stack, ...one], [otherStack, ...other]) => {
        const same = stack === otherStack && one.join() === other.join();
        expect(urnOf("department", stack, ...one) === urnOf("department", otherStack, ...other)).toBe(same);
      }),
    );
  });

  it("are read back from a URN", () => {
    fc.assert(
      fc.property(name, kind, name, (stack, itsKind, itsName) => {
        expect(parseUrn(urnOf("department", stack, itsKind, itsName))).toEqual({
          project: "department",
          stack,
          kind: itsKind,
          type: TYPES[itsKind],
          name: itsName,
        });
      }),
    );
  });

  it("have no kind where Pulumi's own resources are meant", () => {
    expect(parseUrn("urn:pulumi:s::p::pulumi:pulumi:Stack::p-s")).toMatchObject({ kind: undefined, name: "p-s" });
    expect(parseUrn("urn:pulumi:s::p::pulumi:providers:zhengyun::default")).toMatchObject({ kind: undefined });
    expect(parseUrn("no urn")).toBeUndefined();
  });
});

interface Registration {
  type: string;
  name: string;
  inputs: Record<string, unknown>;
}

/** What a program registers, in Pulumi's own test mode. */
async function registrations(spec: DepartmentSpec): Promise<Registration[]> {
  const seen: Registration[] = [];
  await pulumi.runtime.setMocks({
    newResource: ({ type, name: itsName, inputs }) => {
      if (parseUrn(`urn:pulumi:s::p::${type}::${itsName}`)?.kind) seen.push({ type, name: itsName, inputs });
      return { id: `${itsName}.1`, state: inputs };
    },
    call: () => ({}),
  });
  await pulumi.runtime.runInPulumiStack(departmentProgram(spec));
  await pulumi.runtime.disconnect();
  return seen.sort((a, b) => (a.name < b.name ? -1 : 1));
}

const full = estate({
  hosts: [host(2), host(1, { userData: "#!/bin/sh" })],
  volumes: [volume(2), volume(1)],
  attachments: [attachment(1, 1, 1)],
  backupPolicies: [policy(1, 2)],
});

describe("a department's program", () => {
  it("registers every host, volume, attachment and policy under its own name", async () => {
    const names = (await registrations(full)).map((registration) => `${registration.type} ${registration.name}`);
    expect(names).toEqual(
      Object.entries({ attachments: "attachment", hosts: "host", backupPolicies: "backup-policy", volumes: "volume" }).flatMap(([list, its]) =>
        full[list as "hosts"].map((item) => `${TYPES[its as SpecKind]} ${item.name}`).sort(),
      ),
    );
  });

  it("is the same whatever the order of its lists", async () => {
    expect(await registrations(normaliseSpec(full))).toEqual(await registrations(full));
  });

  it("ties an attachment and a policy to one generation of what they are for", async () => {
    const [attached, , , kept] = await registrations(full);
    expect(attached?.inputs).toMatchObject({ hostId: `${host(1).name}.1`, volumeId: `${volume(1).name}.1`, pool: host(1).pool });
    expect(kept?.inputs).toMatchObject({ volumeId: `${volume(2).name}.1`, volumePool: volume(2).pool });
  });

  it("leaves a reference to something else empty instead of failing its neighbours", async () => {
    const [attached] = await registrations(estate({ hosts: [host(1)], attachments: [attachment(1, 1, 9)] }));
    expect(attached?.inputs).toMatchObject({ hostId: `${host(1).name}.1`, volumeId: "" });
  });
});
