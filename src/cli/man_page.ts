import { VERSION } from '../version.js';
import { type Command, COMMANDS, type Option } from './commands.js';
import { EXIT_MEANINGS } from './exit_status.js';
import { OPTIONS_OF_ALL, optionUsage, PURPOSE, usageOf } from './help.js';

/** Variables that a command itself looks at. */
const VARIABLES: Readonly<Record<string, string>> = {
  MXM_SECRETSD_SOCKET: 'the socket that get, exec and health ask where --socket does not name one',
  XDG_RUNTIME_DIR: 'where exec --file puts its files if it is a folder in memory; else /run/user/UID or /dev/shm',
};

/** mxm-secretsd(1) in the macros of man(7). The same table makes it, the help and the completion scripts. */
export function manPage(): string {
  return `.\\" Made by "npm run build" from the table of commands.
.TH MXM\\-SECRETSD 1 "" "mxm\\-secretsd ${roff(VERSION)}" "User Commands"
.SH NAME
mxm\\-secretsd \\- hand co\\-located services their secrets over a Unix socket
.SH SYNOPSIS
${[...COMMANDS.values()].map((command) => `.B mxm\\-secretsd\n${roff(usageOf(command))}\n`).join('.br\n')}.SH DESCRIPTION
${roff(PURPOSE)}
It has one runtime identity; a policy says which secrets that identity may read, and only then the secret store is asked.
.SH COMMANDS
${[...COMMANDS.values()].map(section).join('')}.SH "OPTIONS OF EVERY COMMAND"
${optionList(OPTIONS_OF_ALL)}.SH "EXIT STATUS"
With
.BR exec ,
the status of its command, or 128 and the number of the signal that has ended it.
${[...EXIT_MEANINGS].map(([status, meaning]) => item(String(status), meaning)).join('')}.SH ENVIRONMENT
${Object.entries(VARIABLES)
  .map(([name, meaning]) => item(name, meaning))
  .join('')}`;
}

function section(command: Command): string {
  const { summary, options } = command;
  return `.SS "${roff(usageOf(command))}"
${roff(`${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`)}
${optionList(options)}`;
}

function optionList(options: Readonly<Record<string, Option>>): string {
  return Object.entries(options)
    .map(([name, option]) => item(optionUsage(name, option), option.help))
    .join('');
}

function item(term: string, meaning: string): string {
  return `.TP\n.B ${roff(term)}\n${roff(meaning)}\n`;
}

/** Text that the formatter takes as it stands, whatever encoding it expects. None begins with a "." or "'". */
function roff(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/[^\n -~]/gu, (character) => `\\[u${hex(character)}]`);
}

function hex(character: string): string {
  return (character.codePointAt(0) as number).toString(16).toUpperCase().padStart(4, '0');
}
