import type { Server as HttpServer } from 'node:http';
import { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Native, native } from '../os/native.js';
import {
  type CredentialRequest,
  credentialRequestOf,
  descriptorOf,
  isListed,
  type Peer,
  type PeerRule,
  peerOf,
} from '../os/peer.js';

export interface Connections {
  /** Whether a connection is one too many: it came above the limit, and there are still more than the limit. */
  isSurplus(socket: Socket): boolean;
  /** Who connected; null where the platform cannot tell. */
  peerOf(socket: Socket): Peer | null;
  /** Whether the rule for peers does not list who connected. */
  isDenied(socket: Socket): boolean;
  /** When the last connection came, by the clock of `performance`. */
  readonly lastCameAt: number;
  /** Once nobody can connect any more: resolves when all that have are here, and what they had sent is read. */
  takeIn(): Promise<void>;
  /**
   * Takes from open connections what they have sent and nothing more: who sends later is told so by the kernel.
   * Resolves when all of them are answered and closed; where the kernel cannot be asked, at once.
   */
  finish(): Promise<void>;
  /** Whether what comes may end anywhere, as that is going on. */
  readonly finishing: boolean;
  /** Closes all of them, whatever is going on there. */
  destroy(): void;
}

export interface ConnectionRules {
  readonly limit: () => number;
  /** Absent: whoever can connect may ask. */
  readonly allow?: PeerRule | undefined;
  /** Gets the connections of service managers, in place of HTTP. */
  readonly onCredentialRequest: (socket: Socket, request: CredentialRequest, peer: Peer) => void;
  readonly kernel?: Native | null;
}

/** Where a connection keeps it: to find it in a WeakMap takes longer, and a collector longer still. */
const ARRIVAL = Symbol('arrival');

type Arrived = Socket & { [ARRIVAL]?: Arrival };

interface Arrival {
  readonly peer: Peer | null;
  readonly denied: boolean;
  readonly surplus: boolean;
}

const { end } = Socket.prototype as { end: (this: Socket, ...last: unknown[]) => Socket };

/**
 * In place of a socket's own `end`: a caller that sends no more and has got all is not told that nothing follows. That
 * would be a call of the kernel and a turn of its own, and the close that comes next tells the same.
 */
function endOrClose(this: Socket, ...last: unknown[]): Socket {
  const isOver = last.length === 0 && this.readableEnded && this.writableLength === 0;
  return isOver ? this.destroy() : end.apply(this, last);
}

/**
 * Sees each connection before HTTP does: counts it, notes who it is, and hands on those of service managers. What comes
 * above twice the limit is closed at once; but a service manager takes a closed connection for an empty credential.
 */
export function watchConnections(server: HttpServer, rules: ConnectionRules): Connections {
  const { limit, allow, onCredentialRequest, kernel = native } = rules;
  const open = new Set<Socket>();
  const http = server.listeners('connection') as ((this: HttpServer, socket: Socket) => void)[];
  let lastCameAt = performance.now();
  let finishing = false;
  let whenClosed: (() => void) | undefined;

  server.removeAllListeners('connection');
  server.on('connection', (socket: Arrived) => {
    lastCameAt = performance.now();
    open.add(socket);
    socket.on('close', () => {
      open.delete(socket);
      if (open.size === 0) whenClosed?.();
    });
    const peer = peerOf(socket, kernel);
    const denied = allow !== undefined && !isListed(allow, peer, socket, kernel);
    socket[ARRIVAL] = { peer, denied, surplus: open.size > limit() };
    const asked = credentialRequestOf(socket, peer, kernel);
    if (asked !== null) onCredentialRequest(socket, asked, peer as Peer);
    else if (open.size > 2 * limit()) socket.destroy();
    else {
      socket.end = endOrClose;
      for (const listener of http) listener.call(server, socket);
    }
  });

  return {
    isSurplus: (socket: Arrived) => open.size > limit() && socket[ARRIVAL]?.surplus === true,
    peerOf: (socket: Arrived) => socket[ARRIVAL]?.peer ?? null,
    isDenied: (socket: Arrived) => allow !== undefined && socket[ARRIVAL]?.denied !== false,
    get lastCameAt() {
      return lastCameAt;
    },
    async takeIn() {
      await nextTurn(); // that of now may be past its connections
      // Node takes one of those that wait in each turn.
      for (let before = NaN; before !== lastCameAt;) {
        before = lastCameAt;
        await nextTurn();
      }
    },
    finish() {
      if (kernel === null) return Promise.resolve();
      finishing = true;
      // Else HTTP would take the end of what comes for a caller that has left.
      (server as { httpAllowHalfOpen?: boolean }).httpAllowHalfOpen = true;
      for (const socket of open) {
        const fd = descriptorOf(socket);
        if (fd !== undefined) kernel.shutDownReading(fd);
      }
      return new Promise((resolve) => {
        whenClosed = resolve;
        if (open.size === 0) resolve();
      });
    },
    get finishing() {
      return finishing;
    },
    destroy() {
      for (const socket of open) socket.destroy();
    },
  };
}
