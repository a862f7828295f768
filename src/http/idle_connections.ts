import { performance } from 'node:perf_hooks';
import { createConnectionTimeout } from './connection_timeout.js';
import type { Connection, OpenConnections } from './open_connections.js';

/**
 * Closes a connection on which nothing is asked for so long after its last answer, of which it is told. Node sets a timer
 * of its own anew with each request and with each answer.
 */
export function createIdleTimeout(timeoutMs: number, connections: OpenConnections): (connection: Connection) => void {
  const setTimer = createConnectionTimeout(timeoutMs, connections, ({ exchanges, idleSince }) =>
    exchanges.length > 0 ? undefined : idleSince,
  );

  return (connection) => {
    connection.idleSince = performance.now();
    setTimer();
  };
}
