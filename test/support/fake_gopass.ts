import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BackendErrorCode, Reason } from '../../src/domain/errors.js';
import { isRunning } from './process_table.js';
import { type Ending, temporaryFolder, writeFile } from './temporary.js';
import { until } from './until.js';

/** What a fake prints as if it were a secret, in halves: the whole stands in no script and no argument. */
const HALVES = ['canary-4b7e', '0c95-value'] as const;
export const CANARY = HALVES.join('');
const PRINT_CANARY = `printf '%s%s\\n' ${HALVES.join(' ')}`;

export const REAL_VERSION = 'gopass 1.16.1 go1.24.1 linux amd64';

export interface FakeProgram {
  readonly file: string;
  /** The lines that the script has written to `"$0.WHAT"` so far. */
  lines(what: string): string[];
  /** The process ids that the script has written with `note`, once there are so many. */
  noted(count: number): Promise<number[]>;
}

/**
 * A shell script in place of a program. It may call `note PID`, for processes that the test looks after: whatever is
 * left of them when the test ends is killed. With `outside COMMAND` a process of its becomes that command in a session,
 * and so a group, of its own, and with `until_outside` the script waits until one has.
 */
export function fakeProgram(t: Ending, name: string, script: string, folder = temporaryFolder(t)): FakeProgram {
  const file = join(folder, name);
  const lines = (what: string): string[] =>
    existsSync(`${file}.${what}`)
      ? readFileSync(`${file}.${what}`, 'utf8').split('\n').slice(0, -1) // after the last line ending a line is being written
      : [];
  t.teardown(() => {
    for (const pid of lines('noted').map(Number)) if (isRunning(pid)) process.kill(pid, 'SIGKILL');
  });
  const functions = `
    note() { echo "$1" >>"$0.noted"; }
    outside() { exec setsid sh -c '>"$0.outside"; exec "$@"' "$0" "$@"; }
    until_outside() { until [ -e "$0.outside" ]; do sleep 0.01; done; }
  `;
  writeFile(folder, name, `#!/bin/sh\n${functions}\n${script}\n`, 0o700);
  return {
    file,
    lines,
    noted: (count) => until(() => (lines('noted').length >= count ? lines('noted').map(Number) : undefined)),
  };
}

/** Answers `--version` like the real one and everything else with the script. Calls other than for the version are lines of `calls`. */
export function fakeGopass(
  t: Ending,
  script: string,
  { version = `echo '${REAL_VERSION}'`, folder }: { version?: string; folder?: string } = {},
): FakeProgram {
  const versioned = `case "$1" in --version) ${version}; exit ;; esac\necho "$*" >>"$0.calls"\n${script}`;
  return fakeProgram(t, 'gopass', versioned, folder);
}

export interface Fault {
  /** What the fake does when it is asked for an entry. */
  readonly script: string;
  readonly code: BackendErrorCode;
  readonly reason: Reason;
  /** It never ends by itself: abort it once it has noted so many process ids. */
  readonly endless?: number;
}

/** What the real gopass cannot be made to show. Each prints CANARY where it can. */
export const FAULTS: Readonly<Record<string, Fault>> = {
  'hangs with a grandchild': {
    script: `${PRINT_CANARY}; ${PRINT_CANARY} >&2; (sleep 1000 & note $!; wait) & note $!; note $$; wait`,
    code: 'backend_timeout',
    reason: 'timeout',
    endless: 3,
  },
  'hangs and ignores every signal that can be ignored': {
    script: `trap '' HUP INT QUIT TERM; ${PRINT_CANARY}; note $$; sleep 1000 & note $!; wait; wait`,
    code: 'backend_timeout',
    reason: 'timeout',
    endless: 2,
  },
  'leaves its output open in a process that has left the group': {
    script: `outside sleep 1000 & note $!; until_outside; ${PRINT_CANARY}; note $$`,
    code: 'backend_timeout',
    reason: 'timeout',
    endless: 2,
  },
  'prints 100 MB': {
    script: `yes "$(${PRINT_CANARY})" | head -c 100000000`,
    code: 'backend_failed',
    reason: 'value_too_large',
  },
  'prints without an end': {
    script: `note $$; yes "$(${PRINT_CANARY})"`,
    code: 'backend_failed',
    reason: 'value_too_large',
  },
  'is ended by SIGSEGV': {
    script: `${PRINT_CANARY}; ${PRINT_CANARY} >&2; kill -SEGV $$`,
    code: 'backend_failed',
    reason: 'killed_by_signal',
  },
  'is ended by SIGKILL': {
    script: `${PRINT_CANARY}; kill -KILL $$`,
    code: 'backend_failed',
    reason: 'killed_by_signal',
  },
  'prints the secret on stderr and fails': {
    script: `{ ${PRINT_CANARY}; echo 'Error: failed to decrypt'; } >&2; exit 11`,
    code: 'backend_failed',
    reason: 'decrypt_failed',
  },
  'prints 10 MB of the secret on stderr and fails': {
    script: `yes "$(${PRINT_CANARY})" | head -c 10000000 >&2; exit 11`,
    code: 'backend_failed',
    reason: 'unexpected_answer',
  },
  'prints the secret on stdout and fails': {
    script: `${PRINT_CANARY}; exit 11`,
    code: 'backend_failed',
    reason: 'unexpected_answer',
  },
  'fails with garbage': {
    script: `head -c 5000 /dev/urandom >&2; ${PRINT_CANARY}; exit 200`,
    code: 'backend_failed',
    reason: 'unexpected_answer',
  },
};

/** A fake that shows a fault of the table. */
export function faultyGopass(t: Ending, fault: Fault): FakeProgram {
  return fakeGopass(t, fault.script);
}
