/** Group commit: what arrives while a transaction runs is done together in the next one, so that its statements are paid for once. */

/**
 * One call of `run` at a time, each with all that waited, oldest first. Should `run` throw, nothing of that batch was done:
 * each of it is run alone then, so that only the one at fault gets the error.
 * @param run answers in the order of its arguments
 * @param most largest batch
 */
export function inBatches<In, Out>(run: (batch: readonly In[]) => Promise<readonly Out[]>, most = 64): (one: In) => Promise<Out> {
  const waiting: { one: In; resolve: (out: Out) => void; reject: (error: unknown) => void }[] = [];
  let running = false;

  const runAlone = async (entry: (typeof waiting)[number]) => {
    try {
      entry.resolve((await run([entry.one]))[0]!);
    } catch (error) {
      entry.reject(error);
    }
  };
  const drain = async () => {
    running = true;
    // A turn of the event loop first: what came in the same packet of work goes along.
    await new Promise((resolve) => setImmediate(resolve));
    while (waiting.length > 0) {
      const batch = waiting.splice(0, most);
      try {
        const outs = await run(batch.map((entry) => entry.one));
        for (const [index, entry] of batch.entries()) entry.resolve(outs[index]!);
      } catch (error) {
        if (batch.length === 1) batch[0]!.reject(error);
        else for (const entry of batch) await runAlone(entry);
      }
    }
    running = false;
  };
  return (one) =>
    new Promise<Out>((resolve, reject) => {
      waiting.push({ one, resolve, reject });
      if (!running) void drain();
    });
}
