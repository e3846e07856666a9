/** The state service's tables (migration 0002). Filled in by the state service. */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type
export interface StateTables {}
