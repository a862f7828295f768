// One of several processes in which daemons want the same socket: starts one when it is told to, and stops it.
import { loadConfiguration } from '../../src/config/load.js';
import { type Daemon, startDaemon } from '../../src/daemon.js';
import { SocketError } from '../../src/os/socket_file.js';

/** `race`: serve this launch file at this time (of Date.now). `leave`: stop. */
export type DaemonOrder = { readonly race: string; readonly at: number } | { readonly leave: true };

export interface DaemonReport {
  readonly won: boolean;
  /** Why not. */
  readonly message?: string;
}

const [logFd = ''] = process.argv.slice(2);
let daemon: Daemon | undefined;

async function race(launchFile: string, at: number): Promise<DaemonReport> {
  while (Date.now() < at); // both at once
  try {
    daemon = await startDaemon(() => loadConfiguration(launchFile), {
      environment: process.env,
      logFd: Number(logFd),
    });
    return { won: true };
  } catch (error) {
    if (!(error instanceof SocketError)) throw error;
    return { won: false, message: error.message };
  }
}

process.on('message', (order: DaemonOrder) => {
  void (async () => {
    if ('race' in order) {
      process.send?.(await race(order.race, order.at));
    } else {
      await daemon?.stop();
      daemon = undefined;
      process.send?.({ won: false });
    }
  })();
});
