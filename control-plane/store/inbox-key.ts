/** By what inboxes are ordered and paged: a time, then the id. */
export const inboxKey = (at: Date, id: string): string => `${at.toISOString()} ${id}`;
