/** Reads a form's texts. Passwords are taken as they were typed, all else without spaces around it. */
export function fieldOf(form: HTMLFormElement): (name: string) => string {
  const values = new FormData(form);
  return (name) => {
    const value = values.get(name);
    if (typeof value !== "string") return "";
    return /password/i.test(name) ? value : value.trim();
  };
}
