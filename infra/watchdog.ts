/** Ends what no longer makes progress: an engine that waits for ever, for whatever reason, must not hold its slot for ever. */
export class Stalled extends Error {
  override readonly name = "Stalled";
}

export interface Watchdog {
  /** Something happened. */
  heard(): void;
  stop(): void;
}

/** Aborts with a Stalled as its reason when nothing was heard for so long. */
export function watch(abort: AbortController, quietMs: number): Watchdog {
  const bark = () => abort.abort(new Stalled(`nothing happened for ${Math.round(quietMs / 1000)} s: the engine was ended`));
  const timer = setTimeout(bark, quietMs);
  return { heard: () => void timer.refresh(), stop: () => clearTimeout(timer) };
}
