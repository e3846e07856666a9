/** What the rest of the project may know of the set-up: where the engine and the host image's program lie. */
export { EngineMissing, findEngine, provideEngine } from "./steps/engine.mjs";
export type { Engine, EngineSource } from "./steps/engine.mjs";
export { findGuest, provideGuest } from "./steps/guest.mjs";
