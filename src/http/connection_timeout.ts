import { performance } from 'node:perf_hooks';
import type { Connection, OpenConnections } from './open_connections.js';

/**
 * Closes connections that have been waited for so long; `waitedSince` says since when, by the clock of `performance`, and
 * undefined where nobody waits. One timer looks after all of them, which is set where what this gives is called: when one
 * begins to be waited for.
 */
export function createConnectionTimeout(
  timeoutMs: number,
  connections: OpenConnections,
  waitedSince: (connection: Connection) => number | undefined,
): () => void {
  let timer: NodeJS.Timeout | undefined;

  function look(): void {
    timer = undefined;
    const now = performance.now();
    let first = Infinity;
    for (const connection of connections.all) {
      const since = waitedSince(connection);
      if (since === undefined) continue;
      if (since + timeoutMs <= now) connection.socket.destroy();
      else first = Math.min(first, since);
    }
    if (first < Infinity) timer = setTimeout(look, first + timeoutMs - now).unref();
  }

  return () => {
    timer ??= setTimeout(look, timeoutMs).unref();
  };
}
