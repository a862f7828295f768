import type { Server } from 'node:net';
import type { Environment } from './environment.js';
import { type Native, native } from './native.js';

/** A listening socket that a service manager has made and keeps: sd_listen_fds(3). */
export interface InheritedSocket {
  readonly fd: number;
  /** Where it listens, for the log; an abstract name begins with `@`. */
  readonly path: string;
}

/** The inherited socket cannot be served; the message says why, and what to do. */
export class InheritedSocketError extends Error {
  override readonly name = 'InheritedSocketError';
}

const FIRST_FD = 3;
const AF_UNIX = 1;
const SOCK_STREAM = 1;
const Option = { type: 3, acceptsConnections: 30, domain: 39 } as const;

/**
 * The socket that this process has inherited; null where there is none, or it is meant for another process. No program
 * that is started from here learns of it. Throws an InheritedSocketError when it is none that can be served.
 */
export function takeInheritedSocket(
  environment: Environment,
  pid: number = process.pid,
  kernel: Native | null = native,
): InheritedSocket | null {
  const { LISTEN_PID: meantFor, LISTEN_FDS: count } = environment;
  for (const name of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES']) Reflect.deleteProperty(environment, name);
  if (count === undefined || meantFor !== String(pid)) return null;
  if (count !== '1') refuse('must be one socket: give the socket unit a single ListenStream=');
  if (kernel === null) refuse('cannot be served on this platform: let the daemon make its socket');
  const option = (number: number): number | undefined => kernel.socketOption(FIRST_FD, number, 4)?.readInt32LE(0);
  if (
    option(Option.domain) !== AF_UNIX ||
    option(Option.type) !== SOCK_STREAM ||
    option(Option.acceptsConnections) !== 1
  ) {
    refuse('must be a Unix stream socket that listens: use ListenStream=/PATH, without Accept=yes');
  }
  kernel.closeOnExec(FIRST_FD);
  const name = kernel.socketName(FIRST_FD)?.toString('utf8') ?? '';
  return { fd: FIRST_FD, path: name.replace(/^\0/, '@').replace(/\0.*$/s, '') };
}

function refuse(message: string): never {
  throw new InheritedSocketError(`LISTEN_FDS: the inherited socket ${message}`);
}

/** The socket stays when the server is closed: it is the service manager's. */
export async function listenOnInherited(server: Server, { fd }: InheritedSocket): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ fd }, resolve);
  });
}
