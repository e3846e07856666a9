/** What an installation settles about maintenance windows (how early they are announced, how long they may be) and about members that do not answer. */
import type { MaintenancePolicy } from "../contract/maintenance.ts";
import { settledPolicy } from "./settled-policy.ts";

const policy = settledPolicy<MaintenancePolicy>("maintenance-policy", { noticeDays: 3, longestHours: 72, downAfterSeconds: 300, revision: 0 });

export const maintenancePolicy = policy.read;
/** Holds for what is announced from now on. */
export const setMaintenancePolicy = policy.set;
