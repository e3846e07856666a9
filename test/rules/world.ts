/** One thing of every kind, all of one department, written straight into the tables: what strangers must not see. */
import type { Kysely } from "kysely";
import { systemAct } from "../../control-plane/store/act.ts";
import { defaultStages } from "../../control-plane/domain/approval-policy.ts";
import { setPolicy } from "../../control-plane/store/approval-policies.ts";
import { attachEvidence } from "../../control-plane/store/evidence.ts";
import { askConsent } from "../../control-plane/store/consents.ts";
import { createApplication } from "../../control-plane/store/applications.ts";
import { createDepartment } from "../../control-plane/store/departments.ts";
import { newId } from "../../control-plane/store/ids.ts";
import { announceWindow } from "../../control-plane/store/maintenance.ts";
import { createPool } from "../../control-plane/store/pools.ts";
import { createProject } from "../../control-plane/store/projects.ts";
import { createRule } from "../../control-plane/store/supervision-rules.ts";
import type { Database } from "../../control-plane/store/schema.ts";

export interface World {
  owner: string;
  stranger: string;
  ids: Record<
    | "department"
    | "project"
    | "filedProject"
    | "application"
    | "request"
    | "host"
    | "volume"
    | "attachment"
    | "backup-policy"
    | "backup"
    | "restore"
    | "snapshot"
    | "snapshotRevert"
    | "pool"
    | "stackOperation"
    | "stackUpdate"
    | "evidence"
    | "supervisionRule"
    | "supervisionCard"
    | "correction"
    | "consent"
    | "hostSession"
    | "drift"
    | "maintenanceWindow",
    string
  >;
}

export async function buildWorld(db: Kysely<Database>): Promise<World> {
  return db.transaction().execute(async (tx) => {
    const now = new Date();
    const act = systemAct(now);
    const department = (code: string) => createDepartment(tx, act, { parentId: null, code, nameZh: code, nameEn: code, level: "city", line: null });
    const owner = (await department("owner-bureau")).id;
    const stranger = (await department("stranger-bureau")).id;
    const project = await createProject(tx, act, { department_id: owner, code: "p", name: "P", fiscal_year: 2026, budget_fen: 1, stage: "approved" });
    const filed = await createProject(tx, act, { department_id: owner, code: "filed", name: "F", fiscal_year: 2026, budget_fen: 1 });
    const application = await createApplication(tx, act, {
      department_id: owner,
      project_id: project.id,
      code: "a",
      name: "A",
      contact: "c",
      protection_level: 2,
      filing_number: null,
      zone: "extranet",
    });
    const pool = await createPool(tx, act, {
      code: "pool",
      name: "P",
      kind: "storage",
      site: "S",
      tier: "standard",
      security_level: 3,
      zone: "extranet",
      overcommit_percent: 100,
      driver: "embedded",
      endpoint: "x",
      capacity: { hosts: 9 },
    });
    const request = newId("req", now);
    const belongs = { department_id: owner, project_id: project.id, application_id: application.id, created_at: now, updated_at: now };
    await tx
      .insertInto("requests")
      .values({ id: request, number: "2026-000001", ...belongs, state: "draft", title: "T", reason: "", requested_by: "system" })
      .execute();
    const resource = async (prefix: "hst" | "vol" | "att" | "bkp", kind: "host" | "volume" | "attachment" | "backup-policy", wanted: object) => {
      const id = newId(prefix, now);
      await tx
        .insertInto("resources")
        .values({
          id,
          kind,
          ...belongs,
          pool_id: pool.id,
          name: kind,
          phase: "live",
          wanted: JSON.stringify({ id, name: kind, ...wanted }),
          request_id: request,
          observed_state: "unknown",
          opened_at: now,
        })
        .execute();
      return id;
    };
    const host = await resource("hst", "host", {
      flavour: { vcpu: 1, memoryMib: 2048, diskGib: 20 },
      image: "zhengyun-base-1",
      power: "running",
      sshKeys: [],
      addresses: [],
      ports: [],
      pool: { code: "pool", driver: "embedded", endpoint: "x" },
    });
    const volume = await resource("vol", "volume", { sizeGib: 1, tier: "standard" });
    const attachment = await resource("att", "attachment", { host, volume, hostId: host, volumeId: volume, path: "/data" });
    const policy = await resource("bkp", "backup-policy", { volume, volumeId: volume, schedule: "0 2 * * *", timezone: "Asia/Shanghai", keep: 7 });
    const backup = newId("bak", now);
    await tx
      .insertInto("backups")
      .values({
        id: backup,
        department_id: owner,
        volume_id: volume,
        policy_id: policy,
        pool_id: pool.id,
        state: "complete",
        size_bytes: 1,
        sha256: "0",
        requested_by: "system",
        created_at: now,
        error: null,
      })
      .execute();
    const restore = newId("rst", now);
    await tx
      .insertInto("restores")
      .values({
        id: restore,
        department_id: owner,
        backup_id: backup,
        volume_id: volume,
        state: "complete",
        bytes: 1,
        error: null,
        requested_by: "system",
        created_at: now,
      })
      .execute();
    const snapshot = newId("snp", now);
    await tx
      .insertInto("snapshots")
      .values({
        id: snapshot,
        department_id: owner,
        volume_id: volume,
        name: "before",
        note: "",
        state: "complete",
        size_bytes: 1,
        taken_at: now,
        requested_by: "system",
        created_at: now,
        updated_at: now,
      })
      .execute();
    const snapshotRevert = newId("rvt", now);
    await tx
      .insertInto("snapshot_reverts")
      .values({
        id: snapshotRevert,
        department_id: owner,
        snapshot_id: snapshot,
        volume_id: volume,
        state: "withdrawn",
        reason: "R",
        asked_by: "tok_00000000000000000000000000",
        asked_at: now,
        updated_at: now,
      })
      .execute();
    const stackOperation = newId("stk", now);
    await tx
      .insertInto("stack_operations")
      .values({
        id: stackOperation,
        department_id: owner,
        kind: "preview",
        state: "complete",
        steps: "[]",
        error: null,
        requested_by: "system",
        created_at: now,
      })
      .execute();
    const stackUpdate = newId("upd", now);
    await tx
      .insertInto("state_stacks")
      .values({ id: "s", organization: "zhengyun", project: "department", name: owner, tags: "{}", created_at: now })
      .execute();
    await tx
      .insertInto("state_updates")
      .values({
        id: stackUpdate,
        stack_id: "s",
        kind: "update",
        status: "succeeded",
        fence: 1,
        message: "",
        environment: "{}",
        owner_host: "h",
        owner_pid: 1,
        owner_started: "1",
        created_at: now,
      })
      .execute();
    const { id: evidence } = await attachEvidence(
      tx,
      act,
      { id: request, department_id: owner },
      { name: "a.txt", type: "text/plain", content: Buffer.from("a") },
    );
    const supervisionRule = await createRule(tx, act, owner, {
      name: "R",
      terms: { kind: "same-person", colour: "red" },
      answerDays: 3,
      enabled: true,
      note: "",
    });
    const supervisionCard = newId("scd", now);
    const correction = newId("cor", now);
    await tx
      .insertInto("supervision_cards")
      .values({
        id: supervisionCard,
        rule_id: supervisionRule.id,
        rule_version: 1,
        key: request,
        kind: "same-person",
        stage: null,
        colour: "red",
        state: "correcting",
        department_id: owner,
        request_id: request,
        detail: "",
        requests: "[]",
        limit_at: null,
        happened_at: now,
        issued_at: now,
        answer_due_at: now,
        previous_id: null,
      })
      .execute();
    await tx
      .insertInto("corrections")
      .values({
        id: correction,
        card_id: supervisionCard,
        what: "W",
        assignee: "nobody",
        state: "open",
        due_at: now,
        opened_by: "system",
        opened_at: now,
        since: now,
      })
      .execute();
    const { id: consent } = await askConsent(tx, act, { nodes: null }, { hostId: host, applicationId: null, granteeId: null, purpose: "P", minutes: 60 });
    const hostSession = newId("hsn", now);
    await tx
      .insertInto("host_sessions")
      .values({
        id: hostSession,
        department_id: owner,
        host_id: host,
        kind: "shell",
        purpose: "P",
        argv: null,
        person_id: "tok_00000000000000000000000000",
        role: "applicant",
        source: "local",
        correlation_id: "c",
        sign_in_id: null,
        basis: "owner",
        consent_id: null,
        binding_id: null,
        state: "open",
        ticket_hash: null,
        cols: 80,
        rows: 24,
        created_at: now,
        opened_at: now,
      })
      .execute();
    const drift = newId("dft", now);
    await tx
      .insertInto("drift_findings")
      .values({
        id: drift,
        department_id: owner,
        resource_id: host,
        kind: "host",
        property: "flavour.memoryMib",
        wanted: "2048",
        actual: "4096",
        state: "open",
        first_seen_at: now,
        last_seen_at: now,
      })
      .execute();
    const maintenanceWindow = await announceWindow(tx, act, {
      scope: { kind: "hosts", hosts: [host] },
      from: null,
      to: new Date(now.getTime() + 3_600_000).toISOString(),
      reason: "R",
      emergencyReason: "E",
    });
    await setPolicy(tx, act, owner, { stages: [...defaultStages], note: "" }, () => undefined);
    return {
      owner,
      stranger,
      ids: {
        department: owner,
        project: project.id,
        filedProject: filed.id,
        application: application.id,
        request,
        host,
        volume,
        attachment,
        "backup-policy": policy,
        backup,
        restore,
        snapshot,
        snapshotRevert,
        pool: pool.id,
        stackOperation,
        stackUpdate,
        evidence,
        supervisionRule: supervisionRule.id,
        supervisionCard,
        correction,
        consent,
        hostSession,
        drift,
        maintenanceWindow,
      },
    };
  });
}
