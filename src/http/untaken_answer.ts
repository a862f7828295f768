import type { ServerResponse } from 'node:http';
import { performance } from 'node:perf_hooks';
import type { EndSignal } from '../ending.js';
import { createOpenConnections } from './open_connections.js';

export type CloseWhenUntaken = (response: ServerResponse, over: EndSignal) => void;

/**
 * Closes the connection of a caller that does not take its answer in time, from when it is that answer's turn. Until
 * then the body stays in memory. One timer looks after all connections.
 */
export function createAnswerTimeout(timeoutMs: number, connections = createOpenConnections()): CloseWhenUntaken {
  let timer: NodeJS.Timeout | undefined;

  function look(): void {
    timer = undefined;
    let first = Infinity;
    for (const { socket, turn } of connections.all) {
      if (turn === undefined || turn.over.aborted) continue;
      const { since } = turn;
      if (since + timeoutMs <= performance.now()) socket.destroy();
      else first = Math.min(first, since);
    }
    if (first < Infinity) timer = setTimeout(look, first + timeoutMs - performance.now()).unref();
  }

  return (response, over) => {
    const begin = (): void => {
      if (over.aborted || response.socket === null) return;
      connections.of(response.socket).turn = { over, since: performance.now() };
      timer ??= setTimeout(look, timeoutMs).unref();
    };
    // Of pipelined answers only the one whose turn it is has the socket.
    if (response.socket === null) response.once('socket', begin);
    else begin();
  };
}
