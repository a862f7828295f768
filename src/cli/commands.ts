import type { OptionValues } from './arguments.js';
import type { Io } from './io.js';

export interface Option {
  /** What stands for its value in the help; undefined for a flag. */
  readonly value?: string;
  readonly help: string;
}

export interface Command {
  readonly name: string;
  readonly summary: string;
  readonly operands: readonly string[];
  readonly options: Readonly<Record<string, Option>>;
  /** The exit status. */
  readonly run: (io: Io, options: OptionValues, operands: readonly string[]) => Promise<number>;
}

const LAUNCH: Option = { value: 'FILE', help: 'the launch configuration' };
const SOCKET: Option = { value: 'PATH', help: "the daemon's socket; default: $MXM_SECRETSD_SOCKET" };

/**
 * Each command is loaded when it runs: a `get` has no need of the server. The loader of the tests adds a branch to each
 * such import, for modules of the old kind, that nothing can reach: hence the marks for the coverage.
 */
const TABLE: readonly Command[] = [
  {
    name: 'serve',
    summary: 'run the daemon in the foreground',
    operands: [],
    options: { launch: LAUNCH },
    /* c8 ignore next */
    run: (io, options) => import('./serve.js').then(({ serve }) => serve(io, options)),
  },
  {
    name: 'check',
    summary: 'validate the configuration, show who may read what, and probe each backend',
    operands: [],
    options: {
      launch: LAUNCH,
      offline: { help: 'probe no backend' },
      json: { help: 'print JSON' },
    },
    /* c8 ignore next */
    run: (io, options) => import('./check.js').then(({ check }) => check(io, options)),
  },
  {
    name: 'get',
    summary: "ask a running daemon for a secret and print the value's bytes",
    operands: ['NAME'],
    options: {
      socket: SOCKET,
      wait: { value: 'SECONDS', help: 'try again so long while there is no daemon or the answer is retryable' },
    },
    /* c8 ignore next */
    run: (io, options, [name]) => import('./get.js').then(({ get }) => get(io, options, name as string)),
  },
  {
    name: 'health',
    summary: 'ask a running daemon whether its stores are ready',
    operands: [],
    options: { socket: SOCKET },
    /* c8 ignore next */
    run: (io, options) => import('./health.js').then(({ health }) => health(io, options)),
  },
];

export const COMMANDS: ReadonlyMap<string, Command> = new Map(TABLE.map((command) => [command.name, command]));
