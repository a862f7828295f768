import { type Command, COMMANDS } from './commands.js';

export function generalHelp(): string {
  const rows = [...COMMANDS.values()].map(({ name, summary }) => `  ${name.padEnd(8)} ${summary}`);
  return `Usage: mxm-secretsd COMMAND [options]

A local daemon that hands co-located services their secrets over a Unix socket.

Commands:
${rows.join('\n')}

mxm-secretsd COMMAND --help tells more of one; --version prints the version.
`;
}

export function commandHelp({ name, summary, operands, options }: Command): string {
  const shown = Object.entries(options).map(([option, { value, help }]): [string, string] => [
    `--${option}${value === undefined ? '' : ` ${value}`}`,
    help,
  ]);
  shown.push(['--help', 'print this'], ['--version', 'print the version']);
  const width = Math.max(...shown.map(([left]) => left.length));
  return `Usage: mxm-secretsd ${[name, ...operands].join(' ')} [options]

${summary.charAt(0).toUpperCase()}${summary.slice(1)}.

Options:
${shown.map(([left, help]) => `  ${left.padEnd(width)}  ${help}`).join('\n')}
`;
}
