import { readFileSync } from 'node:fs';

/** What Node reads in place of bytes that are no UTF-8, and hands on. Somebody may also have written it. */
const REPLACEMENT = '\ufffd';

/** Which of the last arguments of this process, from 0, has lost bytes that it was given with; -1 where none has. */
export function changedArgument(last: readonly string[], file = '/proc/self/cmdline'): number {
  const given = givenStrings(file).slice(-last.length);
  return last.findIndex((argument, index) => argument.includes(REPLACEMENT) && given[index] !== bytesOf(argument));
}

/** The name of a variable that has lost bytes that this process was given it with. */
export function changedVariable(
  environment: Readonly<Record<string, string | undefined>>,
  file = '/proc/self/environ',
): string | undefined {
  const given = new Set(givenStrings(file));
  return Object.entries(environment).find((pair) => {
    const variable = pair.join('=');
    return variable.includes(REPLACEMENT) && !given.has(bytesOf(variable));
  })?.[0];
}

/** A character a byte. Without /proc nothing is known to be what it was. */
function givenStrings(file: string): string[] {
  try {
    return readFileSync(file, 'latin1').split('\0').slice(0, -1);
  } catch {
    return [];
  }
}

function bytesOf(text: string): string {
  return Buffer.from(text).toString('latin1');
}
