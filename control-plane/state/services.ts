/** What the routes share. */
import type { Db } from "../store/database.ts";
import type { StackSecrets } from "./secrets.ts";
import type { OperationTokens } from "./tokens.ts";

export interface Services {
  db: Db;
  tokens: OperationTokens;
  secrets: (stackId: string) => StackSecrets;
  /** Told of each journal entry that was made durable, before the engine is. */
  entryKept: () => void;
  /** Told of our own failures and of refused states; gets no secrets. */
  log: (message: string, error?: unknown) => void;
}
