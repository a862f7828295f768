import { readFileSync } from 'node:fs';

/** How this process stands to its terminal. */
export interface Job {
  readonly hasTerminal: boolean;
  /** Whether its process group is the one that the terminal sends the signals of its keys to. */
  readonly isForeground: boolean;
  readonly leadsSession: boolean;
}

/** What the terminal, or a shell that takes up a job in the foreground, sends to the whole process group. */
const SENT_TO_GROUP: ReadonlySet<NodeJS.Signals> = new Set(['SIGINT', 'SIGQUIT', 'SIGTSTP', 'SIGWINCH', 'SIGCONT']);

/** Where the system does not tell (no /proc), a process with a terminal counts as one in its foreground. */
export function readJob(hasTerminal: boolean, statFile = '/proc/self/stat'): Job {
  let stat: string;
  try {
    stat = readFileSync(statFile, 'latin1');
  } catch {
    return { hasTerminal, isForeground: hasTerminal, leadsSession: false };
  }
  // PID (NAME) STATE PPID PGRP SESSION TTY TPGID …, and the name may hold anything.
  const [, , pgrp, session, tty, tpgid] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return {
    hasTerminal: tty !== '0',
    isForeground: tpgid === pgrp,
    leadsSession: session === stat.slice(0, stat.indexOf(' ')),
  };
}

/**
 * Whether the children in this process group have been sent a signal, too. A signal does not tell where it comes
 * from: in the foreground those of the keys count as the terminal's, and SIGHUP when the terminal is gone.
 */
export function isSentToGroup(signal: NodeJS.Signals, atStart: Job, now: Job): boolean {
  if (signal === 'SIGHUP') return atStart.hasTerminal && !now.hasTerminal && !now.leadsSession;
  return now.isForeground && SENT_TO_GROUP.has(signal);
}
