/** Asks people at the terminal; what is secret is not shown, nor taken from the command line, where other users could see it. */
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";

export async function prompt(question: string, { hidden = false } = {}): Promise<string> {
  let quiet = false;
  const output = new Writable({
    write(chunk: Buffer, _encoding, done) {
      if (!quiet) process.stderr.write(chunk);
      done();
    },
  });
  const lines = createInterface({ input: process.stdin, output, terminal: process.stdin.isTTY });
  try {
    const answer = lines.question(`${question}: `);
    quiet = hidden;
    return await answer;
  } finally {
    lines.close();
    if (hidden) process.stderr.write("\n");
  }
}

/** From the first line of a file, else asked for. */
export async function password(file: string | undefined, question = "Password"): Promise<string> {
  return file === undefined ? prompt(question, { hidden: true }) : readFileSync(file, "utf8").split(/\r?\n/)[0]!;
}
