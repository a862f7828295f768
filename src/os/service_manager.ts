import { MAX_TIMER_MS } from '../timer.js';
import type { Environment } from './environment.js';
import { type Native, native } from './native.js';

/** systemd, or what speaks its protocol: sd_notify(3). That nobody listens is no failure. */
export interface ServiceManager {
  /** Whether anybody is told anything. */
  readonly listens: boolean;
  /** From now on requests are answered, and the watchdog is kept quiet. */
  ready(status: string): void;
  reloading(): void;
  stopping(): void;
  /** One line for the operator. */
  status(status: string): void;
}

/** Some managers refuse long messages. */
const MAX_STATUS = 1_000;

/** Takes the variables that say how to reach it, so that no program that is started from here answers for this one. */
export function findServiceManager(
  environment: Environment,
  pid: number = process.pid,
  kernel: Native | null = native,
): ServiceManager {
  const { NOTIFY_SOCKET: socket = '', WATCHDOG_USEC: interval = '', WATCHDOG_PID: watched } = environment;
  for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) Reflect.deleteProperty(environment, name);
  const listens = /^[/@]./.test(socket) && kernel !== null;
  const name = Buffer.from(socket.replace(/^@/, '\0'));
  const isWatched = /^[1-9]\d*$/.test(interval) && (watched === undefined || watched === String(pid));
  let watchdog: NodeJS.Timeout | undefined;

  function notify(...lines: readonly string[]): void {
    if (listens) kernel.sendDatagram(name, Buffer.from(lines.join('\n')));
  }

  return {
    listens,
    ready(status) {
      notify('READY=1', statusLine(status));
      // Twice in the time, as the manual recommends. A loop that is stuck sends nothing.
      if (listens && isWatched)
        watchdog ??= setInterval(notify, Math.min(Number(interval) / 2_000, MAX_TIMER_MS), 'WATCHDOG=1').unref();
    },
    reloading() {
      // The clock of hrtime is the monotonic one, in nanoseconds.
      notify('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1_000n}`);
    },
    stopping: () => notify('STOPPING=1', statusLine('stopping')),
    status: (status) => notify(statusLine(status)),
  };
}

function statusLine(status: string): string {
  return `STATUS=${status.replace(/\s*\n\s*/g, '; ').slice(0, MAX_STATUS)}`;
}
