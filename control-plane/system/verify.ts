/** Whether an archive is whole and can be restored, without a database and without a control plane. */
import { type Deployment, integrityFault, type Keys } from "../state/index.ts";
import { opens, opensDataKey } from "../state/secrets.ts";
import { auditKeyContext } from "../store/audit-chain.ts";
import { migrationNames } from "../store/database.ts";
import type { Manifest } from "./manifest.ts";
import { type Archive, type ArchivedTable, openArchive } from "./reader.ts";
import { ArchiveInvalid } from "./tar.ts";

export interface Verification {
  manifest: Manifest | undefined;
  /** What is wrong and where, as sentences; empty: it is sound. */
  faults: string[];
  /** Pulumi states that were looked at. */
  snapshots: number;
  /** Data keys that the master key given opened; undefined: none was given. */
  dataKeys: number | undefined;
}

/**
 * Reads every byte: checksums, counts, JSON, the integrity of each Pulumi state, that each stack has its current one, and with the
 * master key that each data key opens.
 * @param find the master key of a fingerprint, where it is at hand
 * @throws ENOENT and the like
 */
export async function verifyArchive(path: string, find: (fingerprint: string) => Keys | undefined = () => undefined): Promise<Verification> {
  const faults: string[] = [];
  const found: Verification = { manifest: undefined, faults, snapshots: 0, dataKeys: undefined };
  let archive: Archive;
  try {
    archive = await openArchive(path);
  } catch (error) {
    if (!(error instanceof ArchiveInvalid)) throw error;
    return { ...found, faults: [error.message] };
  }
  found.manifest = archive.manifest;
  const fault = migrationFault(archive.manifest);
  if (fault) faults.push(fault);
  const { masterKey } = archive.manifest;
  const keys = masterKey === null ? undefined : find(masterKey);
  if (keys) found.dataKeys = 0;
  const current = new Map<string, number>();
  const versions = new Map<string, Set<number>>();
  const looks: Record<string, (row: Record<string, unknown>) => string | undefined> = {
    state_stacks: (row) => void current.set(String(row["id"]), Number(row["version"])),
    state_snapshots: (row) => {
      found.snapshots++;
      const stack = String(row["stack_id"]);
      versions.set(stack, (versions.get(stack) ?? new Set()).add(Number(row["version"])));
      const unsound = soundness(String(row["deployment"]));
      return unsound && `the state of stack ${stack}, version ${Number(row["version"])}: ${unsound}`;
    },
    audit_keys: (row) => {
      const id = String(row["id"]);
      return !keys || opens(keys, auditKeyContext(id), String(row["wrapped"])) ? undefined : `audit key ${id} does not open under the master key`;
    },
    state_data_keys: (row) => {
      if (!keys) return undefined;
      const key = { stack_id: String(row["stack_id"]), version: Number(row["version"]), wrapped: String(row["wrapped"]) };
      if (!opensDataKey(keys, key)) return `data key ${key.version} of stack ${key.stack_id} does not open under the master key`;
      found.dataKeys!++;
      return undefined;
    },
  };
  for (const table of archive.manifest.tables) faults.push(...(await tableFaults(archive, table, looks[table.name] ?? (() => undefined))));
  for (const [stack, version] of current)
    if (version > 0 && !versions.get(stack)?.has(version))
      faults.push(`tables/state_snapshots.jsonl.zst: stack ${stack} has no state of its version ${version}.`);
  return found;
}

/** An archive of a newer version than this one cannot be read into its tables. */
export function migrationFault({ migrations }: Pick<Manifest, "migrations">): string | undefined {
  const strange = migrations.find((name, index) => migrationNames[index] !== name);
  return strange === undefined
    ? undefined
    : `The archive has the schema migration ${strange}, which this control plane doesn't know or has at another place: use the version that made it, or a newer one.`;
}

/** How many faults of one table are told. */
const mostFaults = 10;

async function tableFaults(archive: Archive, table: ArchivedTable, look: (row: Record<string, unknown>) => string | undefined): Promise<string[]> {
  const faults: string[] = [];
  let number = 0;
  try {
    for await (const line of archive.rows(table)) {
      number++;
      const fault = look(JSON.parse(line) as Record<string, unknown>);
      if (fault && faults.length < mostFaults) faults.push(`${table.file}, row ${number}: ${fault}.`);
    }
  } catch (error) {
    if (error instanceof ArchiveInvalid) faults.push(error.message);
    else faults.push(`${table.file}, row ${number}: ${(error as Error).message}`);
  }
  return faults;
}

function soundness(text: string): string | undefined {
  try {
    return integrityFault(JSON.parse(text) as Deployment);
  } catch (error) {
    return `it cannot be read: ${(error as Error).message}`;
  }
}
