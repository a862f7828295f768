import { type Command, type Completes, COMMANDS, type Option } from '../commands.js';
import { OPTIONS_OF_ALL } from '../help.js';

/** What a shell is told of the command line, from the table of commands. */
export interface Offers {
  readonly command: Command;
  readonly options: readonly (readonly [name: string, option: Option])[];
  /** What the operands offer, all of them alike; undefined for nothing. */
  readonly operands: Completes | undefined;
}

export function offers(): readonly Offers[] {
  return [...COMMANDS.values()].map((command) => ({
    command,
    options: Object.entries({ ...command.options, ...OPTIONS_OF_ALL }),
    operands: command.operands[0]?.completes,
  }));
}

/** In single quotes, for any shell. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
