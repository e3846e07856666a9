/** What a password must be (等级保护: length, kinds of characters, age, no reuse). Pure: who knows the old ones compares them. */

export const passwordRules = {
  /** Characters. */
  minimumLength: 12,
  maximumLength: 128,
  /** Of lower case, upper case, digits and everything else. */
  kinds: 3,
  /** The last ones, the present one among them, that may not come again. */
  remembered: 5,
  maximumAgeDays: 90,
} as const;

export const lockRules = {
  /** Failures in a row. */
  attempts: 5,
  minutes: 15,
} as const;

const kinds = [/\p{Ll}/u, /\p{Lu}/u, /\p{Nd}/u, /[^\p{Ll}\p{Lu}\p{Nd}]/u];
/** Characters beside each other on the keyboard or in the alphabet, and words that come first in every list of guesses. */
const guessed = /(.)\1{3}|0123|1234|2345|3456|4567|5678|6789|abcd|qwer|asdf|zxcv|password|passw0rd|zhengyun|admin/iu;

/** @returns why it is refused, in words for people; none: it may be used */
export function passwordFaults(password: string, name: string): string[] {
  const length = Array.from(password).length;
  const faults: string[] = [];
  if (length < passwordRules.minimumLength) faults.push(`has fewer than ${passwordRules.minimumLength} characters`);
  if (length > passwordRules.maximumLength) faults.push(`has more than ${passwordRules.maximumLength} characters`);
  if (kinds.filter((kind) => kind.test(password)).length < passwordRules.kinds)
    faults.push(`needs ${passwordRules.kinds} of: lower case, upper case, digits, other characters`);
  if (name.length >= 3 && password.toLowerCase().includes(name.toLowerCase())) faults.push("contains the account's name");
  const found = guessed.exec(password)?.[0];
  if (found !== undefined) faults.push(`contains "${found}", which is guessed first`);
  return faults;
}

export function passwordExpired(setAt: Date, now: Date): boolean {
  return now.getTime() - setAt.getTime() > passwordRules.maximumAgeDays * 86_400_000;
}
