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
import type { OpenConnections } from './open_connections.js';

export interface Connections {
  /** Whether a connection is one too many: it came above the limit, and there are still more than the limit. */
  isSurplus(socket: Socket): boolean;
  /** Who connected; null where the platform cannot tell. */
  peerOf(socket: Socket): Peer | null;
  /** Whether the rule for peers does not list who connected. */
  isDenied(socket: Socket): boolean;
  /** Whether one request is all that is open: nobody else is connected, and that connection has brought no other. */
  readonly isAlone: () => boolean;
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

const { end } = Socket.prototype as { end: (this: Socket, ...last: unknown[]) => Socket };

/**
 * Sees each connection before HTTP does: counts it, notes who it is, and hands on those of service managers, which send
 * nothing. What comes above twice the limit is closed at once; but a service manager takes a closed connection for an
 * empty credential.
 */
export function watchConnections(server: HttpServer, rules: ConnectionRules, open: OpenConnections): Connections {
  const { limit, allow, onCredentialRequest, kernel = native } = rules;
  const http = server.listeners('connection') as ((this: HttpServer, socket: Socket) => void)[];
  let lastCameAt = performance.now();
  let finishing = false;

  function peerAt(socket: Socket): Peer | null {
    return open.of(socket).arrival?.peer ?? null;
  }

  /** Whether it is a service manager's. */
  function handOn(socket: Socket): boolean {
    const peer = peerAt(socket);
    const asked = credentialRequestOf(socket, peer, kernel);
    if (asked !== null) onCredentialRequest(socket, asked, peer as Peer);
    return asked !== null;
  }

  /**
   * In place of a socket's own `end`. A caller that sends no more and has got all is not told that nothing follows: that
   * would be a call of the kernel and a turn of its own, and the close that comes next tells the same. And one that sends
   * no more and has sent nothing may be a service manager: to ask the kernel of each connection takes longer.
   */
  function endOrClose(this: Socket, ...last: unknown[]): Socket {
    if (last.length > 0 || !this.readableEnded) return end.apply(this, last);
    if (this.bytesRead === 0 && handOn(this)) return this;
    return this.writableLength === 0 ? this.destroy() : end.apply(this, last);
  }

  server.removeAllListeners('connection');
  server.on('connection', (socket: Socket) => {
    lastCameAt = performance.now();
    const connection = open.of(socket);
    const peer = peerOf(socket, kernel);
    const denied = allow !== undefined && !isListed(allow, peer, socket, kernel);
    connection.arrival = { peer, denied, surplus: open.all.length > limit() };
    if (open.all.length > 2 * limit()) {
      if (!handOn(socket)) socket.destroy();
    } else {
      socket.end = endOrClose;
      // To Node it is a stream that has none: idle connections are closed all at once, by one timer.
      (socket as { setTimeout?: unknown }).setTimeout = undefined;
      for (const listener of http) listener.call(server, socket);
    }
  });

  return {
    isSurplus: (socket) => open.all.length > limit() && open.of(socket).arrival?.surplus === true,
    peerOf: peerAt,
    isDenied: (socket) => allow !== undefined && open.of(socket).arrival?.denied !== false,
    isAlone: () => open.all.length === 1 && open.all[0]?.exchanges.length === 1,
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
      for (const { socket } of open.all) {
        const fd = descriptorOf(socket);
        if (fd !== undefined) kernel.shutDownReading(fd);
      }
      return open.empty();
    },
    get finishing() {
      return finishing;
    },
    destroy() {
      for (const { socket } of open.all) socket.destroy();
    },
  };
}
