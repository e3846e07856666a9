/** Who may run now: a number of slots, and within them one task per key at a time, in the order of asking. */

interface Task {
  key: string;
  start: (slot: number) => Promise<void>;
}

export class Slots {
  readonly #free: number[];
  readonly #busy = new Set<string>();
  readonly #waiting: Task[] = [];

  /** @param count slots, numbered from 0 */
  constructor(count: number) {
    this.#free = Array.from({ length: count }, (_, slot) => slot);
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Runs the task in a slot of its own, as soon as there is one and no other task of the same key runs. */
  run<T>(key: string, task: (slot: number) => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({ key, start: (slot) => task(slot).then(resolve, reject) });
      this.#next();
    });
  }

  #next() {
    const index = this.#waiting.findIndex((task) => !this.#busy.has(task.key));
    if (index < 0 || this.#free.length === 0) return;
    const [task] = this.#waiting.splice(index, 1) as [Task];
    const slot = this.#free.shift()!;
    this.#busy.add(task.key);
    void task.start(slot).finally(() => {
      this.#busy.delete(task.key);
      this.#free.push(slot);
      this.#next();
    });
    this.#next();
  }
}
