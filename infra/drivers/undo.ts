/** Undo steps, registered on the line after the effect that they undo; run in reverse when the whole did not succeed. */
export class Undo {
  readonly #steps: (() => Promise<void> | void)[] = [];

  /** Registers what takes the effect of the line before back. */
  add(step: () => Promise<void> | void): void {
    this.#steps.push(step);
  }

  /** Everything went well: nothing is to be undone. */
  success(): void {
    this.#steps.length = 0;
  }

  /** Undoes in reverse; a step that fails doesn't stop the others. */
  async run(): Promise<void> {
    for (const step of this.#steps.splice(0).toReversed()) {
      try {
        await step();
      } catch {
        // What cannot be undone here is found again by name: creates are get-or-create.
      }
    }
  }
}

/** Runs `work`; when it throws, undoes what it had done and throws the same. */
export async function undoing<T>(work: (undo: Undo) => Promise<T>): Promise<T> {
  const undo = new Undo();
  try {
    return await work(undo);
  } catch (error) {
    await undo.run();
    throw error;
  }
}
