import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import type { EndSignal } from '../ending.js';

/** Of a connection, the end of the answer whose turn was last, and when that turn began. */
interface Turn {
  over: EndSignal;
  since: number;
}

export type CloseWhenUntaken = (response: ServerResponse, over: EndSignal) => void;

/**
 * Closes the connection of a caller that does not take its answer in time, from when it is that answer's turn. Until
 * then the body stays in memory. One timer looks after all connections.
 */
export function createAnswerTimeout(timeoutMs: number): CloseWhenUntaken {
  const turns = new Map<Socket, Turn>();
  let timer: NodeJS.Timeout | undefined;

  function noteTurn(socket: Socket, over: EndSignal): void {
    const since = performance.now();
    const turn = turns.get(socket);
    if (turn !== undefined) {
      turn.over = over;
      turn.since = since;
      return;
    }
    turns.set(socket, { over, since });
    socket.on('close', () => turns.delete(socket));
  }

  function look(): void {
    timer = undefined;
    let first = Infinity;
    for (const [socket, { over, since }] of turns) {
      if (over.aborted) continue;
      if (since + timeoutMs <= performance.now()) socket.destroy();
      else first = Math.min(first, since);
    }
    if (first < Infinity) timer = setTimeout(look, first + timeoutMs - performance.now()).unref();
  }

  return (response, over) => {
    const begin = (): void => {
      if (over.aborted || response.socket === null) return;
      noteTurn(response.socket, over);
      timer ??= setTimeout(look, timeoutMs).unref();
    };
    // Of pipelined answers only the one whose turn it is has the socket.
    if (response.socket === null) response.once('socket', begin);
    else begin();
  };
}
