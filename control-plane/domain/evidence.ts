/** Whether a file is what it is said to be. Pure. */
import { type EvidenceType, evidenceTypes } from "../contract/approvals.ts";

const begins = (bytes: Uint8Array, start: readonly number[]) => start.every((byte, index) => bytes[index] === byte);
const zip = [0x50, 0x4b, 0x03, 0x04];

function isText(bytes: Uint8Array): boolean {
  if (bytes.includes(0)) return false;
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

const looksLike: Record<EvidenceType, (bytes: Uint8Array) => boolean> = {
  "application/pdf": (bytes) => begins(bytes, [0x25, 0x50, 0x44, 0x46, 0x2d]),
  "application/ofd": (bytes) => begins(bytes, zip),
  "image/png": (bytes) => begins(bytes, [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
  "image/jpeg": (bytes) => begins(bytes, [0xff, 0xd8, 0xff]),
  "text/plain": isText,
  "text/csv": isText,
  "application/vnd.openxmlformats-officedocument.wordprocessingml.document": (bytes) => begins(bytes, zip),
  "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": (bytes) => begins(bytes, zip),
};

/** Why a file is not taken, by JSON Pointer; undefined: it is. */
export function whyNotEvidence(name: string, type: EvidenceType, bytes: Uint8Array, limit: number): { pointer: string; detail: string } | undefined {
  if (bytes.length > limit) return { pointer: "/content", detail: `The file has ${bytes.length} bytes; at most ${limit} are kept.` };
  const endings = evidenceTypes[type] as readonly string[];
  if (!endings.some((ending) => name.toLowerCase().endsWith(ending)))
    return { pointer: "/name", detail: `The name of a file of type ${type} ends in ${endings.join(" or ")}.` };
  if (!looksLike[type](bytes)) return { pointer: "/content", detail: `The file's content is not of type ${type}.` };
  return undefined;
}
