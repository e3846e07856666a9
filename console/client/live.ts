/** What happens, as it happens. The browser resumes by Last-Event-ID by itself. */
import type { Event } from "../../control-plane/contract/access.ts";
import { api } from "../paths.ts";

/**
 * Calls `seen` for events, at most once each 300 ms, and `connected` with whether the line is up.
 * @returns what ends it
 */
export function live(seen: (events: Event[]) => void, connected: (up: boolean) => void): () => void {
  const source = new EventSource(api.events);
  let waiting: Event[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  const take = (message: MessageEvent<string>) => {
    waiting.push(JSON.parse(message.data) as Event);
    timer ??= setTimeout(() => {
      const events = waiting;
      waiting = [];
      timer = undefined;
      seen(events);
    }, 300);
  };
  source.addEventListener("open", () => connected(true));
  source.addEventListener("error", () => connected(false));
  source.addEventListener("message", take);
  return () => {
    clearTimeout(timer);
    source.close();
  };
}
