/** A plain tar file of regular files (POSIX ustar), so that an archive opens with tools that every machine has. */
import { createReadStream } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";

const block = 512;
const zeros = Buffer.alloc(block);
const padding = (size: number) => (block - (size % block)) % block;

/** A file that is no archive, or a damaged one: the message says where. */
export class ArchiveInvalid extends Error {
  override readonly name = "ArchiveInvalid";
}

/** A file within a tar file: where its bytes lie. */
export interface Entry {
  name: string;
  offset: number;
  size: number;
}

export type Part = { name: string; bytes: Buffer } | { name: string; path: string; size: number };

/** Writes the parts in their order, durably. @param at modification time of all, seconds since the epoch */
export async function writeTar(path: string, parts: readonly Part[], at: number): Promise<void> {
  const file = await open(path, "w", 0o600);
  try {
    for (const part of parts) {
      const size = "bytes" in part ? part.bytes.length : part.size;
      await file.write(header(part.name, size, at));
      if ("bytes" in part) await file.write(part.bytes);
      else for await (const chunk of createReadStream(part.path)) await file.write(chunk as Buffer);
      await file.write(zeros, 0, padding(size));
    }
    await file.write(Buffer.alloc(2 * block));
    await file.sync();
  } finally {
    await file.close();
  }
}

function header(name: string, size: number, at: number): Buffer {
  const bytes = Buffer.alloc(block);
  const octal = (value: number, offset: number, length: number) => bytes.write(`${value.toString(8).padStart(length - 1, "0")}\0`, offset, "latin1");
  if (Buffer.byteLength(name) > 100) throw new Error(`the name is too long for a tar file: ${name}`);
  bytes.write(name, 0, "utf8");
  octal(0o600, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  // Octal digits hold less than 8 GiB; above it GNU's and POSIX 2001's readers take a binary number.
  if (size < 8 ** 11) octal(size, 124, 12);
  else {
    bytes[124] = 0x80;
    bytes.writeBigUInt64BE(BigInt(size), 128);
  }
  octal(at, 136, 12);
  bytes.write("0", 156, "latin1");
  bytes.write("ustar\u000000", 257, "latin1");
  bytes.write(`${checksum(bytes).toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return bytes;
}

/** Sum of all bytes, the checksum's own counted as spaces. */
const checksum = (bytes: Buffer) => bytes.reduce((sum, byte, index) => sum + (index >= 148 && index < 156 ? 0x20 : byte), 0);

/** What a tar file of ours holds. @throws ArchiveInvalid when a single byte of its structure is not as it was written */
export async function readTar(path: string): Promise<Entry[]> {
  const file = await open(path, "r");
  try {
    const { size: total } = await file.stat();
    const entries: Entry[] = [];
    let at = 0;
    for (;;) {
      const bytes = await take(file, at, block, total);
      if (bytes.equals(zeros)) break;
      const entry = parse(bytes, at);
      const end = entry.offset + entry.size;
      const rest = await take(file, end, padding(entry.size), total);
      if (rest.some((byte) => byte !== 0)) throw new ArchiveInvalid(`${entry.name}: the padding after it (byte ${end}) is damaged.`);
      entries.push(entry);
      at = end + rest.length;
    }
    if (at + 2 * block !== total || !(await take(file, at + block, block, total)).equals(zeros))
      throw new ArchiveInvalid(`The archive does not end where it should (byte ${at}).`);
    return entries;
  } finally {
    await file.close();
  }
}

async function take(file: FileHandle, offset: number, length: number, total: number): Promise<Buffer> {
  if (offset + length > total) throw new ArchiveInvalid(`The archive is cut short: it has ${total} bytes, and ${offset + length} are needed at least.`);
  const bytes = Buffer.alloc(length);
  if (length > 0) await file.read(bytes, 0, length, offset);
  return bytes;
}

function parse(bytes: Buffer, at: number): Entry {
  const text = (from: number, length: number) => bytes.toString("utf8", from, from + length).split("\0")[0]!;
  const size = bytes[124] === 0x80 ? Number(bytes.readBigUInt64BE(128)) : Number.parseInt(text(124, 12), 8);
  const name = text(0, 100);
  // Made anew from what was read: a header in which any byte was changed does not come out the same.
  if (name === "" || !Number.isSafeInteger(size) || !header(name, size, Number.parseInt(text(136, 12), 8) || 0).equals(bytes))
    throw new ArchiveInvalid(`The header at byte ${at} is damaged, or this is no archive of ours.`);
  return { name, offset: at + block, size };
}
