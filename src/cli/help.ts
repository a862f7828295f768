import { type Command, COMMANDS, type Option } from './commands.js';

/** A command as it is written: `exec [options] [VAR=NAME…] -- COMMAND…`. */
export function usageOf({ name, operands, runsCommand }: Command, options = '[options]'): string {
  const shown = operands.map((operand) => (operand.repeats ? `[${operand.name}…]` : operand.name));
  return [name, ...(runsCommand ? [options, ...shown, '-- COMMAND…'] : [...shown, options])]
    .filter((part) => part !== '')
    .join(' ');
}

/** An option as it is written: `--socket PATH`. */
export function optionUsage(name: string, { value }: Option): string {
  return value === undefined ? `--${name}` : `--${name} ${value}`;
}

/** The options that every command has, in the help and wherever else options are listed. */
export const OPTIONS_OF_ALL: Readonly<Record<string, Option>> = {
  help: { help: 'prints the help', short: 'h' },
  version: { help: 'prints the version' },
};

export const PURPOSE = 'A local daemon that hands co-located services their secrets over a Unix socket.';

export function generalHelp(): string {
  const width = Math.max(...[...COMMANDS.keys()].map((name) => name.length));
  const rows = [...COMMANDS.values()].map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`);
  return `Usage: mxm-secretsd COMMAND [options]

${PURPOSE}

Commands:
${rows.join('\n')}

mxm-secretsd COMMAND --help tells more of one; --version prints the version.
`;
}

export function commandHelp(command: Command): string {
  const { summary, options } = command;
  const shown = Object.entries({ ...options, ...OPTIONS_OF_ALL }).map(([name, option]): [string, string] => [
    optionUsage(name, option),
    option.help,
  ]);
  const width = Math.max(...shown.map(([left]) => left.length));
  return `Usage: mxm-secretsd ${usageOf(command)}

${summary.charAt(0).toUpperCase()}${summary.slice(1)}.

Options:
${shown.map(([left, help]) => `  ${left.padEnd(width)}  ${help}`).join('\n')}
`;
}
