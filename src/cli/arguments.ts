import { parseArgs } from 'node:util';
import { didYouMean } from '../config/problems.js';
import { type Command, COMMANDS, type Option } from './commands.js';
import { OPTIONS_OF_ALL } from './help.js';

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

export function parseCommandLine(argv: readonly string[]): Invocation {
  const [first, ...rest] = argv;
  if (first === '--help' || first === '-h') return { kind: 'help' };
  if (first === '--version') return { kind: 'version' };
  if (first === undefined) throw new UsageError('a command is missing');
  const command = COMMANDS.get(first);
  if (command === undefined) {
    throw new UsageError(
      first.startsWith('-')
        ? `unknown option ${first}`
        : `there is no command "${first}"${didYouMean(first, COMMANDS.keys())}`,
    );
  }
  const { values, operands, after } = parse(command, rest);
  if (values['help'] === true) return { kind: 'help', command };
  if (values['version'] === true) return { kind: 'version' };
  // First: who names the file alone has forgotten the option.
  for (const [name, { value = '', required }] of Object.entries(command.options)) {
    if (required && values[name] === undefined) throw missing(name, value);
  }
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
  const known: Readonly<Record<string, Option>> = { ...command.options, ...OPTIONS_OF_ALL };
  const options = Object.fromEntries(
    Object.entries(known).map(([name, { value, short, repeats = false }]) => [
      name,
      {
        type: value === undefined ? ('boolean' as const) : ('string' as const),
        multiple: repeats,
        ...(short !== undefined && { short }),
      },
    ]),
  );
  const { values, positionals, tokens } = parseArgs({
    args: [...args],
    options,
    strict: false, // what it says of an error is not always right
    tokens: true,
  });
  for (const token of tokens) {
    if (token.kind === 'option') checkOption(command, known, token);
  }
  const terminator = tokens.find(({ kind }) => kind === 'option-terminator');
  const after = command.runsCommand && terminator ? args.slice(terminator.index + 1) : [];
  return { values, operands: positionals.slice(0, positionals.length - after.length), after };
}

interface GivenOption {
  readonly name: string;
  /** With its dashes. */
  readonly rawName: string;
  readonly value: string | undefined;
  /** Whether the value follows a `=`. */
  readonly inlineValue: boolean | undefined;
}

function checkOption(
  command: Command,
  known: Readonly<Record<string, Option>>,
  { name, rawName, value, inlineValue }: GivenOption,
): void {
  if (!Object.hasOwn(known, name)) {
    const names = Object.keys(known).map((key) => `--${key}`);
    throw new UsageError(`${command.name} has no option ${rawName}${didYouMean(rawName, names)}`);
  }
  const placeholder = known[name]?.value;
  if (placeholder === undefined) {
    if (value !== undefined) throw new UsageError(`--${name} takes no value`);
  } else if (value === undefined) {
    throw missing(name, placeholder);
  } else if (inlineValue === false && /^-./s.test(value)) {
    throw missing(name, placeholder, `; a value that begins with "-" is written --${name}=-…`);
  }
}

function missing(name: string, placeholder: string, hint = ''): UsageError {
  return new UsageError(`--${name} ${placeholder} is missing${hint}`);
}

export function requiredOption(options: OptionValues, name: string, placeholder: string): string {
  const value = options[name];
  if (typeof value === 'string' && value !== '') return value;
  throw missing(name, placeholder);
}
