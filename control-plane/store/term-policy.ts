/** What an installation settles about terms: when owners are told, when what is over is stopped, and when it is proposed to reclaim it. */
import type { TermPolicy } from "../contract/terms.ts";
import { settledPolicy } from "./settled-policy.ts";

const policy = settledPolicy<TermPolicy>("term-policy", { noticeDays: 30, graceDays: 30, stoppedDays: 7, trialAnswerDays: 7, revision: 0 });

export const termPolicy = policy.read;
/** Holds from now on, for what runs already too. */
export const setTermPolicy = policy.set;
