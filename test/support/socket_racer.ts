// One of several processes that want the same path: tells whether it has got it, and answers there with its pid.
import { createServer, type Server } from 'node:net';
import { listenOnFile, type OwnedSocketFile, SocketError } from '../../src/os/socket_file.js';

/** `race`: take the path at this time (of Date.now). `leave`: give it back. */
export type RacerOrder = { readonly race: string; readonly at: number } | { readonly leave: true };

export interface RacerReport {
  readonly pid: number;
  readonly won: boolean;
  /** Why not. */
  readonly message?: string;
}

let server: Server | undefined;
let file: OwnedSocketFile | undefined;

async function race(path: string, at: number): Promise<RacerReport> {
  const { pid } = process;
  server = createServer((socket) => socket.on('error', () => undefined).end(String(pid)));
  while (Date.now() < at); // all at once
  try {
    file = await listenOnFile(server, { path, mode: 0o600 });
    return { pid, won: true };
  } catch (error) {
    if (!(error instanceof SocketError)) throw error;
    return { pid, won: false, message: error.message };
  }
}

process.on('message', (order: RacerOrder) => {
  void (async () => {
    if ('race' in order) {
      process.send?.(await race(order.race, order.at));
    } else {
      file?.remove();
      file = undefined;
      server?.close();
      process.send?.({ pid: process.pid, won: false });
    }
  })();
});
