/** Recordings of sessions in hosts: lines of an asciicast (v2), sealed piece by piece and kept as they happen. */
import { createHash } from "node:crypto";
import type { Db } from "./database.ts";

/** What a piece is sealed for: it opens in no other place. */
export const recordingContext = (session: string, seq: number): string => `host-session:${session}:${seq}`;

type Seal = (context: string, text: string) => string;

export async function appendRecording(db: Db, seal: Seal, session: string, seq: number, text: string): Promise<void> {
  await db
    .insertInto("host_session_recordings")
    .values({ session_id: session, seq, sealed: seal(recordingContext(session, seq), text) })
    .execute();
}

export interface Recording {
  text: string;
  sha256: string;
  bytes: number;
}

/** As far as it goes; undefined: nothing was recorded. @throws MasterKeyError when a piece was altered or has another one's place */
export async function readRecording(db: Db, unseal: Seal, session: string): Promise<Recording | undefined> {
  const rows = await db.selectFrom("host_session_recordings").select(["seq", "sealed"]).where("session_id", "=", session).orderBy("seq").execute();
  if (rows.length === 0) return undefined;
  const text = rows.map(({ sealed }, place) => unseal(recordingContext(session, place), sealed)).join("");
  return { text, sha256: createHash("sha256").update(text).digest("hex"), bytes: Buffer.byteLength(text) };
}
