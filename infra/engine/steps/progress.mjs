/**
 * Progress of steps that run side by side: one line a finished step, and a live line for those that run (on a terminal),
 * or a line now and then (in a log). All on stderr: stdout belongs to the program that is started afterwards.
 */
const FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏";
const FRAME_MS = 120;
const LOG_EVERY_MS = 20_000;

/**
 * @typedef {{ update: (status: string) => void, note: (text: string) => void }} Step
 * @typedef {{ step: <T>(name: string, work: (step: Step) => Promise<T>, summary: (result: T) => string) => Promise<T>, close: () => void }} Progress
 */

/**
 * @param {{ stream?: NodeJS.WriteStream, mentionFrom?: number }} [options] steps that end within `mentionFrom` ms get no line
 * @returns {Progress} `step` runs `work`; `summary` answers the words for its line
 */
export function showProgress({ stream = process.stderr, mentionFrom = 0 } = {}) {
  /** @type {Map<string, { started: number, logged: number, status: string }>} */
  const running = new Map();
  const live = stream.isTTY;
  let frame = 0;
  let drawn = false;

  const erase = () => {
    if (drawn) stream.write("\r\u001b[K");
    drawn = false;
  };
  /** @param {string} text */
  const print = (text) => {
    erase();
    stream.write(`${text}\n`);
  };
  const draw = () => {
    if (running.size === 0) return erase();
    const parts = [...running].map(([name, { started, status }]) => `${name} ${seconds(performance.now() - started)}${status && `: ${status}`}`);
    const width = (stream.columns ?? 80) - 3;
    const share = Math.floor(width / parts.length) - 3;
    const line = parts.map((part) => (part.length > share ? `${part.slice(0, share - 1)}…` : part)).join(" | ");
    stream.write(`\r\u001b[K${FRAMES[frame++ % FRAMES.length]} ${line}`);
    drawn = true;
  };
  const log = () => {
    for (const [name, step] of running) {
      if (performance.now() - step.logged < LOG_EVERY_MS) continue;
      step.logged = performance.now();
      print(`… ${name} ${seconds(performance.now() - step.started)}${step.status && `: ${step.status}`}`);
    }
  };
  const timer = setInterval(live ? draw : log, live ? FRAME_MS : 1_000);
  timer.unref();

  return {
    async step(name, work, summary) {
      const state = { started: performance.now(), logged: performance.now(), status: "" };
      running.set(name, state);
      try {
        const result = await work({ update: (status) => (state.status = status.trim()), note: (text) => print(`! ${name}: ${text}`) });
        running.delete(name);
        const took = performance.now() - state.started;
        if (took >= mentionFrom) print(`✓ ${name.padEnd(8)} ${seconds(took).padStart(8)}  ${summary(result)}`);
        return result;
      } catch (error) {
        running.delete(name);
        print(`✗ ${name.padEnd(8)} ${seconds(performance.now() - state.started).padStart(8)}`);
        throw error;
      }
    },
    close() {
      clearInterval(timer);
      erase();
    },
  };
}

/** @param {number} milliseconds */
function seconds(milliseconds) {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}
