/** The audit's hash chain (审计链). */
export { type Chainer, chainSteps, startChainer } from "./chainer.ts";
export { createDenials, type Denial, type Denials } from "./denials.ts";
