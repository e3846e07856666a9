/**
 * Notices an engine that hangs: for some time neither an event of its own nor a call to the provider. One that waits for a driver
 * doesn't hang; how long a driver may take is the provider's to limit (`provider/scopes.ts`).
 */
export class Watchdog {
  /** Milliseconds without progress after which an engine is taken to hang. */
  readonly silentMs: number;
  #still = 0;
  #calls = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(silentMs: number) {
    this.silentMs = silentMs;
  }

  /** @param onHang called once */
  start(onHang: () => void): void {
    // Counted in steps: when this very process was stopped for hours, one step passed, not hours of silence.
    this.#timer = setInterval(() => {
      this.#still = this.#calls > 0 ? 0 : this.#still + 1;
      if (this.#still < steps) return;
      this.stop();
      onHang();
    }, this.silentMs / steps);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Progress. */
  touch(): void {
    this.#still = 0;
  }

  /** Runs a call of the provider, during which silence means nothing. */
  async during<T>(call: () => Promise<T>): Promise<T> {
    this.#calls++;
    try {
      return await call();
    } finally {
      this.#calls--;
      this.touch();
    }
  }
}

const steps = 20;
