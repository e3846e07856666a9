/** Arguments that many commands share. */
export const json = { type: "boolean", description: "Print JSON", default: false } as const;
export const department = { type: "string", description: "Id or code of a department" } as const;
export const wait = { type: "boolean", description: "Wait until it is done", default: false } as const;
