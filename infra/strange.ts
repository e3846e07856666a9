/** An output of things on which something is set that nobody of ours asked for. */
export const strangeKey = "strange";
