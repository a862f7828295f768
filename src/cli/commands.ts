import type { OptionValues } from './arguments.js';
import { FIRST_BACKENDS } from './first_stores.js';
import type { Io } from './io.js';
import { SHELLS } from './shells.js';

/** What a shell offers for a value: files, folders, or one of a list. */
export type Completes = 'file' | 'folder' | readonly string[];

export interface Option {
  /** What stands for its value in the help; undefined for a flag. */
  readonly value?: string;
  readonly help: string;
  /** A letter for it. */
  readonly short?: string;
  /** May be given more than once. */
  readonly repeats?: true;
  /** The command does nothing without it. */
  readonly required?: true;
  readonly completes?: Completes;
}

export interface Operand {
  readonly name: string;
  /** Any number of them, none too. */
  readonly repeats?: true;
  readonly completes?: Completes;
}

/** The one source of what is parsed, of the help, of the completion scripts and of the manual page. */
export interface Command {
  readonly name: string;
  readonly summary: string;
  /** One that repeats is the only one. */
  readonly operands: readonly Operand[];
  readonly options: Readonly<Record<string, Option>>;
  /** Runs another command, which stands after `--`. */
  readonly runsCommand?: true;
  /** The exit status. `command` is what stands after `--`, if it runs one. */
  readonly run: (
    io: Io,
    options: OptionValues,
    operands: readonly string[],
    command: readonly string[],
  ) => Promise<number>;
}

const LAUNCH: Option = { value: 'FILE', help: 'the launch file; required', required: true, completes: 'file' };
const SOCKET: Option = {
  value: 'PATH',
  help: "the daemon's socket; default: $MXM_SECRETSD_SOCKET",
  completes: 'file',
};
const WAIT: Option = {
  value: 'SECONDS',
  help: 'tries again for so long while there is no daemon or its answer is retryable; decimals are allowed',
};

/**
 * Each command is loaded when it runs: a `get` has no need of the server. The loader of the tests adds a branch to each
 * such import, for modules of the old kind, that nothing can reach: hence the marks for the coverage.
 */
const TABLE: readonly Command[] = [
  {
    name: 'serve',
    summary: 'runs the daemon in the foreground, until SIGTERM or SIGINT',
    operands: [],
    options: { launch: LAUNCH },
    /* c8 ignore next */
    run: (io, options) => import('./serve.js').then(({ serve }) => serve(io, options)),
  },
  {
    name: 'check',
    summary: 'validates both files, shows who may read what, and probes each store',
    operands: [],
    options: {
      launch: LAUNCH,
      offline: { help: 'probes no store' },
      json: { help: 'prints JSON in place of tables' },
      matrix: { help: 'shows the decision for each secret and each principal that a policy names' },
      expect: { value: 'FILE', help: 'compares the decisions with those that this file expects', completes: 'file' },
    },
    /* c8 ignore next */
    run: (io, options) => import('./check.js').then(({ check }) => check(io, options)),
  },
  {
    name: 'explain',
    summary: 'tells how the decision on one secret comes about, and what would have to change; asks no store',
    operands: [{ name: 'NAME' }],
    options: {
      launch: LAUNCH,
      as: { value: 'ROLE', help: 'the principal; default: the role of the launch file' },
      json: { help: 'prints JSON in place of a table' },
    },
    /* c8 ignore next */
    run: (io, options, [name]) => import('./explain.js').then(({ explain }) => explain(io, options, name as string)),
  },
  {
    name: 'get',
    summary: 'asks a running daemon for a secret and prints the bytes of its value alone',
    operands: [{ name: 'NAME' }],
    options: { socket: SOCKET, wait: WAIT },
    /* c8 ignore next */
    run: (io, options, [name]) => import('./get.js').then(({ get }) => get(io, options, name as string)),
  },
  {
    name: 'exec',
    summary: 'runs a command with secrets of a running daemon in its environment',
    operands: [{ name: 'VAR=NAME', repeats: true }],
    options: {
      socket: SOCKET,
      wait: WAIT,
      file: {
        value: 'VAR=NAME',
        help: 'puts the value into a file in memory, and its path into VAR; may be given again',
        repeats: true,
      },
    },
    runsCommand: true,
    /* c8 ignore next 2 */
    run: (io, options, bindings, command) =>
      import('./exec.js').then(({ exec }) => exec(io, options, bindings, command)),
  },
  {
    name: 'health',
    summary: 'asks a running daemon whether its stores are ready, and prints a line for each',
    operands: [],
    options: { socket: SOCKET },
    /* c8 ignore next */
    run: (io, options) => import('./health.js').then(({ health }) => health(io, options)),
  },
  {
    name: 'init',
    summary: 'writes launch.yaml and secrets.yaml to begin with; asks on a terminal for what is missing',
    operands: [],
    options: {
      dir: { value: 'DIR', help: 'where to write them; default: the working directory', completes: 'folder' },
      role: { value: 'R', help: 'the role, an identifier' },
      machine: { value: 'M', help: 'the machine' },
      environment: { value: 'E', help: 'the environment: dev, prod, …' },
      backend: { value: 'B', help: 'the backend of the first store', completes: FIRST_BACKENDS },
    },
    /* c8 ignore next */
    run: (io, options) => import('./init.js').then(({ init }) => init(io, options)),
  },
  {
    name: 'completion',
    summary: 'prints the completion script for a shell',
    operands: [{ name: SHELLS.join('|'), completes: SHELLS }],
    options: {},
    /* c8 ignore next 2 */
    run: (io, _options, [shell]) => import('./completion.js').then(({ completion }) => completion(io, shell as string)),
  },
];

export const COMMANDS: ReadonlyMap<string, Command> = new Map(TABLE.map((command) => [command.name, command]));
