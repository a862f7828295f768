import { parseArgs } from 'node:util';
import { type Command, COMMANDS } from './commands.js';

/** A command line that cannot be understood; exit status 64. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Option values by name: a string, or true for a flag. */
export type OptionValues = Readonly<Record<string, string | boolean | undefined>>;

export type Invocation =
  | { readonly kind: 'version' }
  | { readonly kind: 'help'; readonly command?: Command }
  | {
      readonly kind: 'run';
      readonly command: Command;
      readonly options: OptionValues;
      /** As many as the command has. */
      readonly operands: readonly string[];
    };

const GLOBAL_OPTIONS = { help: { type: 'boolean', short: 'h' }, version: { type: 'boolean' } } as const;

export function parseCommandLine(argv: readonly string[]): Invocation {
  const [first, ...rest] = argv;
  if (first === '--help' || first === '-h') return { kind: 'help' };
  if (first === '--version') return { kind: 'version' };
  if (first === undefined) throw new UsageError('a command is missing');
  const command = COMMANDS.get(first);
  if (command === undefined) {
    throw new UsageError(first.startsWith('-') ? `unknown option ${first}` : `there is no command "${first}"`);
  }
  const { values, positionals } = parse(command, rest);
  if (values['help'] === true) return { kind: 'help', command };
  if (values['version'] === true) return { kind: 'version' };
  if (positionals.length !== command.operands.length) {
    const expected = command.operands.join(' ');
    throw new UsageError(
      `${first} takes ${expected === '' ? 'no operands' : expected}, not ${positionals.length} operands`,
    );
  }
  return { kind: 'run', command, options: values, operands: positionals };
}

function parse(command: Command, args: readonly string[]): { values: OptionValues; positionals: string[] } {
  const options = Object.fromEntries(
    Object.entries(command.options).map(([name, { value }]) => [
      name,
      { type: value === undefined ? ('boolean' as const) : ('string' as const) },
    ]),
  );
  try {
    return parseArgs({ args: [...args], options: { ...options, ...GLOBAL_OPTIONS }, allowPositionals: true });
  } catch (error) {
    // Its first sentence says what is wrong, the rest gives advice that is not always right.
    throw new UsageError((error as Error).message.replace(/\.\s.*/s, ''));
  }
}

export function requiredOption(options: OptionValues, name: string, placeholder: string): string {
  const value = options[name];
  if (typeof value === 'string' && value !== '') return value;
  throw new UsageError(`--${name} ${placeholder} is missing`);
}
