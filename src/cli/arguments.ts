import { parseArgs } from 'node:util';
import { type Command, COMMANDS } from './commands.js';

/** A command line that cannot be understood; exit status 64. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Option values by name: a string, true for a flag, or a list for one that repeats. */
export type OptionValues = Readonly<Record<string, string | boolean | readonly (string | boolean)[] | undefined>>;

export type Invocation =
  | { readonly kind: 'version' }
  | { readonly kind: 'help'; readonly command?: Command }
  | {
      readonly kind: 'run';
      readonly command: Command;
      readonly options: OptionValues;
      /** As many as the command has. */
      readonly operands: readonly string[];
      /** What stands after `--`, for a command that runs another; not empty then. */
      readonly rest: readonly string[];
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
  const { values, operands, after } = parse(command, rest);
  if (values['help'] === true) return { kind: 'help', command };
  if (values['version'] === true) return { kind: 'version' };
  if (!command.operands.some(({ repeats }) => repeats) && operands.length !== command.operands.length) {
    const expected = command.operands.map(({ name }) => name).join(' ');
    throw new UsageError(
      `${first} takes ${expected === '' ? 'no operands' : expected}, not ${operands.length} operands`,
    );
  }
  if (command.runsCommand && after.length === 0) throw new UsageError(`${first} takes a command to run after --`);
  return { kind: 'run', command, options: values, operands, rest: after };
}

interface Parsed {
  readonly values: OptionValues;
  readonly operands: readonly string[];
  /** What stands after `--`, for a command that runs another; for all else these are operands, too. */
  readonly after: readonly string[];
}

function parse(command: Command, args: readonly string[]): Parsed {
  const options = Object.fromEntries(
    Object.entries(command.options).map(([name, { value, repeats = false }]) => [
      name,
      { type: value === undefined ? ('boolean' as const) : ('string' as const), multiple: repeats },
    ]),
  );
  try {
    const { values, positionals, tokens } = parseArgs({
      args: [...args],
      options: { ...options, ...GLOBAL_OPTIONS },
      allowPositionals: true,
      tokens: true,
    });
    const terminator = tokens.find(({ kind }) => kind === 'option-terminator');
    const after = command.runsCommand && terminator ? args.slice(terminator.index + 1) : [];
    return { values, operands: positionals.slice(0, positionals.length - after.length), after };
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
