/** Takes secrets and terminal decoration out of text that people or logs will see. */
import type { Operation } from "./operations.ts";

/** What must never be seen: the token of the state service, and users' secret inputs, whole and line by line. */
export function secretsOf(operation: Operation): string[] {
  const inputs = operation.spec.hosts.flatMap((host) => (host.userData === undefined ? [] : [host.userData, ...host.userData.split(/\r?\n/)]));
  return (
    [operation.state.token, ...inputs]
      .flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1)])
      // Shorter pieces are ordinary words; replacing them would tell more than it hides.
      .filter((secret) => secret.trim().length >= 6)
      .sort((a, b) => b.length - a.length)
  );
}

/** A function that cleans one text. */
export function scrubber(secrets: readonly string[]): (text: string) => string {
  return (text) => secrets.reduce((clean, secret) => clean.replaceAll(secret, "[secret]"), plain(text)).trim();
}

/** Text without ANSI sequences and Pulumi's own colour marks. */
function plain(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replace(/<\{%.*?%\}>/g, "").replace(/\u001b\[[0-9;?]*[ -/]*[@-~]/g, "");
}
