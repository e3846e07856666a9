/** What happens, as it happens. */
import type { Event } from "../../control-plane/contract/access.ts";

const shortestWaitMs = 1000;
const longestWaitMs = 15_000;

/**
 * Calls `seen` for events of a stream, at most once each 300 ms, and `connected` with whether the line is up. It resumes by
 * Last-Event-ID. Not an EventSource: that hears only event names known beforehand, and ours are an open set.
 * @returns what ends it
 */
export function live(address: string, seen: (events: Event[]) => void, connected: (up: boolean) => void = () => undefined): () => void {
  const ended = new AbortController();
  let last: string | undefined;
  let waiting: Event[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  const take = (message: string) => {
    const fields = new Map(message.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]));
    last = fields.get("id") ?? last;
    const data = fields.get("data");
    if (data === undefined) return;
    waiting.push(JSON.parse(data) as Event);
    timer ??= setTimeout(() => {
      const events = waiting;
      waiting = [];
      timer = undefined;
      seen(events);
    }, 300);
  };
  const listen = async () => {
    const headers: Record<string, string> = { accept: "text/event-stream", ...(last === undefined ? {} : { "last-event-id": last }) };
    const response = await fetch(address, { headers, credentials: "same-origin", signal: ended.signal });
    if (!response.ok || !response.body) return false;
    connected(true);
    let rest = "";
    for await (const text of chunks(response.body.pipeThrough(new TextDecoderStream()).getReader())) {
      const messages = (rest + text).split("\n\n");
      rest = messages.pop() ?? "";
      for (const message of messages) take(message);
    }
    return true;
  };
  const keepListening = async () => {
    for (let wait = shortestWaitMs; !ended.signal.aborted; wait = Math.min(longestWaitMs, wait * 2)) {
      // The server ends a stream now and then on purpose: that is no fault.
      if (await listen().catch(() => false)) wait = shortestWaitMs;
      else connected(false);
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  };
  void keepListening();
  return () => {
    clearTimeout(timer);
    ended.abort();
  };
}

async function* chunks(reader: ReadableStreamDefaultReader<string>): AsyncGenerator<string> {
  for (let read = await reader.read(); !read.done; read = await reader.read()) yield read.value;
}
