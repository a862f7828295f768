import type { ServerResponse } from 'node:http';
import { performance } from 'node:perf_hooks';
import type { EndSignal } from '../ending.js';
import { createConnectionTimeout } from './connection_timeout.js';
import type { OpenConnections } from './open_connections.js';

export type CloseWhenUntaken = (response: ServerResponse, over: EndSignal) => void;

/**
 * Closes the connection of a caller that does not take its answer in time, from when it is that answer's turn. Until
 * then the body stays in memory.
 */
export function createAnswerTimeout(timeoutMs: number, connections: OpenConnections): CloseWhenUntaken {
  const setTimer = createConnectionTimeout(timeoutMs, connections, ({ turn }) =>
    turn === undefined || turn.over.aborted ? undefined : turn.since,
  );

  return (response, over) => {
    const begin = (): void => {
      if (over.aborted || response.socket === null) return;
      connections.of(response.socket).turn = { over, since: performance.now() };
      setTimer();
    };
    // Of pipelined answers only the one whose turn it is has the socket.
    if (response.socket === null) response.once('socket', begin);
    else begin();
  };
}
