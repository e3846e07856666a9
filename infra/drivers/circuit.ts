/**
 * One endpoint that is down or slow holds up no other: it is given up for a while after some calls in a row that it did not answer (circuit breaker),
 * is asked by so many at once and no more (bulkhead), and what only reads is waited for so long and no longer.
 */
import {
  bulkhead,
  CircuitState,
  circuitBreaker,
  ConsecutiveBreaker,
  handleType,
  isBrokenCircuitError,
  isBulkheadRejectedError,
  isTaskCancelledError,
  timeout,
  TimeoutStrategy,
  wrap,
} from "cockatiel";
import { DriverError, type Driver, Unreachable } from "./driver.ts";

export interface CircuitOptions {
  /** Calls in a row without an answer after which it is given up. */
  failures?: number;
  /** How long nobody asks it then, ms; after that one call finds out. */
  restMs?: number;
  /** How long what only reads may take, ms. */
  readMs?: number;
  /** Calls at once; as many wait again and then so many more are refused. */
  calls?: number;
}

export interface Circuit {
  state: "closed" | "half-open" | "open";
  /** null: it has always been so. */
  since: string | null;
  /** Why it was given up last; null: it never was. */
  error: string | null;
}
/** A driver whose endpoint may be given up. */
export interface Guarded {
  driver: Driver;
  circuit(): Circuit;
}

const reads = new Set<PropertyKey>(["actual", "capabilities", "consoleLog", "find", "list", "members", "observe"]);
const states = { [CircuitState.Closed]: "closed", [CircuitState.Open]: "open", [CircuitState.HalfOpen]: "half-open", [CircuitState.Isolated]: "open" } as const;

/** @param name of the endpoint, for people */
export function withCircuit(name: string, driver: Driver, { failures = 5, restMs = 5000, readMs = 30_000, calls = 128 }: CircuitOptions = {}): Guarded {
  const breaker = circuitBreaker(handleType(Unreachable), { breaker: new ConsecutiveBreaker(failures), halfOpenAfter: restMs });
  const room = bulkhead(calls, calls * 8);
  const circuit: Circuit = { state: "closed", since: null, error: null };
  breaker.onStateChange((state) => Object.assign(circuit, { state: states[state], since: new Date().toISOString() }));
  breaker.onBreak((why) => (circuit.error = "error" in why && why.error instanceof Error ? why.error.message : null));
  const inTime = timeout(readMs, TimeoutStrategy.Aggressive);

  const read = <T>(work: () => Promise<T>) =>
    inTime.execute(work).catch((error: unknown) => {
      throw isTaskCancelledError(error) ? new Unreachable(`${name} has not answered within ${readMs / 1000} s.`, { cause: error }) : error;
    });
  const call = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await wrap(breaker, room).execute(work);
    } catch (error) {
      if (isBrokenCircuitError(error))
        throw new DriverError("unreachable", `${name} does not answer, and is asked again in a moment: ${circuit.error ?? "unknown"}`);
      if (isBulkheadRejectedError(error)) throw new DriverError("busy", `${name} is asked by too many at once.`);
      throw error;
    }
  };
  const guarded = new Proxy(driver, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target);
      if (typeof value !== "function") return value;
      const work = (args: unknown[]) => (value as (...all: unknown[]) => Promise<unknown>).apply(target, args);
      return (...args: unknown[]) => call(() => (reads.has(property) ? read(() => work(args)) : work(args)));
    },
  });
  return { driver: guarded, circuit: () => ({ ...circuit, state: states[breaker.state] }) };
}
