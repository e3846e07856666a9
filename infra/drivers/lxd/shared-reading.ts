/** One reading for many who ask at about the same time. */
export class SharedReading<T> {
  readonly #read: () => Promise<T>;
  #now: Promise<T> | undefined;
  #next: Promise<T> | undefined;

  constructor(read: () => Promise<T>) {
    this.#read = read;
  }

  /** A reading that begins after the call: who asks while one is under way shares the next one. */
  take(): Promise<T> {
    if (!this.#now) return (this.#now = this.#begin());
    this.#next ??= this.#now.then(
      () => this.#turn(),
      () => this.#turn(),
    );
    return this.#next;
  }

  /** Nobody waits for one. */
  get idle(): boolean {
    return this.#now === undefined;
  }

  #turn(): Promise<T> {
    this.#next = undefined;
    return (this.#now = this.#begin());
  }
  async #begin(): Promise<T> {
    try {
      return await this.#read();
    } finally {
      if (this.#next === undefined) this.#now = undefined;
    }
  }
}
