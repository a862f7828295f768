import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { isSentToGroup, readJob } from '../os/job_control.js';
import { EXIT } from './exit_status.js';
import type { Io } from './io.js';

/**
 * What others send. SIGSEGV and the like are for a defect of the process itself, SIGTTIN and SIGTTOU for the whole
 * group, SIGPIPE and SIGXFSZ are no news but to who writes, and Node knows no realtime signals.
 */
const RELAYED = [
  ...(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const),
  ...(['SIGTSTP', 'SIGCONT', 'SIGWINCH', 'SIGURG'] as const),
  ...(['SIGALRM', 'SIGVTALRM', 'SIGPROF', 'SIGXCPU', 'SIGIO', 'SIGPWR'] as const),
];

/** What an attempt to start a command ends with where there is none; the last one is Node's own for an empty name. */
const NO_COMMAND: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'ERR_INVALID_ARG_VALUE']);

export interface Relay {
  /** Signals that have come before are not lost: they are looked at when the running code lets go. */
  to(child: ChildProcess): void;
}

/**
 * From now on none of these signals does to this process what it would by itself: each is passed on, unless the child
 * has got it as well.
 */
export function relaySignals(io: Io): Relay {
  const atStart = readJob(io.stdin.isTTY);
  let child: ChildProcess | undefined;
  for (const signal of RELAYED) {
    io.onSignal(signal, () => {
      if (!isSentToGroup(signal, atStart, readJob(io.stdin.isTTY))) child?.kill(signal);
      // A shell takes its terminal back when the process that it has started is stopped.
      if (signal === 'SIGTSTP') io.byDefault(signal);
    });
  }
  return { to: (started) => (child = started) };
}

export type Ending =
  | { readonly kind: 'ended'; readonly status: number }
  | { readonly kind: 'not_started'; readonly why: string; readonly status: number };

/**
 * Runs a command with the terminal, the input and the outputs of this process, and with these further descriptors, and
 * waits for its end. `onStart` is called with its process id.
 */
export function runForeground(
  command: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
  descriptors: readonly number[],
  relay: Relay,
  onStart: (pid: number) => void,
): Promise<Ending> {
  const [file = '', ...args] = command;
  const handedOn = [0, 1, 2, ...descriptors];
  const stdio = Array.from({ length: Math.max(...handedOn) + 1 }, (_, fd) => (handedOn.includes(fd) ? fd : 'ignore'));
  return new Promise((resolve) => {
    function notStarted(error: unknown): void {
      const { code = '' } = error as NodeJS.ErrnoException;
      if (NO_COMMAND.has(code)) {
        resolve({ kind: 'not_started', why: `${file}: there is no such command`, status: EXIT.noCommand });
      } else if (code === 'E2BIG') {
        const why = `${file}: the arguments and the environment are too large (${code}): use --file for a large value`;
        resolve({ kind: 'not_started', why, status: EXIT.cannotExecute });
      } else {
        resolve({ kind: 'not_started', why: `${file}: cannot be executed (${code})`, status: EXIT.cannotExecute });
      }
    }

    let child: ChildProcess;
    try {
      child = spawn(file, args, { stdio, env: environment });
    } catch (error) {
      notStarted(error);
      return;
    }
    child.on('error', (error) => {
      // Of one that runs: a signal may not be passed on to it.
      if (child.pid === undefined) notStarted(error);
    });
    if (child.pid === undefined) return;
    relay.to(child);
    onStart(child.pid);
    child.once('exit', (code, signal) => {
      // Without a code there is a signal.
      resolve({ kind: 'ended', status: code ?? 128 + constants.signals[signal as NodeJS.Signals] });
    });
  });
}
