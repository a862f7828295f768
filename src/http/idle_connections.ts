import { performance } from 'node:perf_hooks';
import type { Connection, OpenConnections } from './open_connections.js';

/**
 * Closes a connection on which nothing is asked for so long after its last answer, of which it is told. One timer looks
 * after all connections: Node sets one of its own anew with each request and with each answer.
 */
export function createIdleTimeout(timeoutMs: number, connections: OpenConnections): (connection: Connection) => void {
  let timer: NodeJS.Timeout | undefined;

  function look(): void {
    timer = undefined;
    const now = performance.now();
    let first = Infinity;
    for (const { socket, exchanges, idleSince } of connections.all) {
      if (idleSince === undefined || exchanges.length > 0) continue;
      if (idleSince + timeoutMs <= now) socket.destroy();
      else first = Math.min(first, idleSince);
    }
    if (first < Infinity) timer = setTimeout(look, first + timeoutMs - now).unref();
  }

  return (connection) => {
    connection.idleSince = performance.now();
    timer ??= setTimeout(look, timeoutMs).unref();
  };
}
