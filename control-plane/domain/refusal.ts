/** What is thrown when the answer is "no": the API turns it into a problem document, jobs record it. */
import type { Problem, ProblemCode } from "../contract/problems.ts";

export interface RefusalExtras {
  /** What to do about it, for people. */
  remedy?: string | undefined;
  /** Where in the body, by JSON Pointer. */
  errors?: Problem["errors"];
  /** The quota limits in the way. */
  limits?: Problem["limits"];
  /** The project's funds that have too little left. */
  funds?: Problem["funds"];
  /** When to try again: the header Retry-After. */
  retryAfterSeconds?: number;
}

export class Refusal extends Error {
  readonly code: ProblemCode;
  readonly detail: string;
  readonly remedy: string | undefined;
  readonly errors: Problem["errors"];
  readonly limits: Problem["limits"];
  readonly funds: Problem["funds"];
  readonly retryAfterSeconds: number | undefined;

  constructor(code: ProblemCode, detail: string, extras: RefusalExtras = {}) {
    super(detail);
    this.name = "Refusal";
    this.code = code;
    this.detail = detail;
    this.remedy = extras.remedy;
    this.errors = extras.errors;
    this.limits = extras.limits;
    this.funds = extras.funds;
    this.retryAfterSeconds = extras.retryAfterSeconds;
  }
}

/** The same words whether it is missing or hidden: an answer must not tell the two apart. */
export function notFound(kind: string, reference: string): Refusal {
  return new Refusal("not-found", `There is no ${kind} "${reference}" that you may see.`);
}
