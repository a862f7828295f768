import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { createEnding, endedSignal, type EndSignal } from '../ending.js';
import type { Connection, Exchange, OpenConnections } from './open_connections.js';

/** Requests that a connection may bring before the first of them is answered: each one waits in memory for its turn. */
const MAX_UNANSWERED = 128;

/** Requests and their answers, by connection. */
export interface Exchanges {
  /**
   * Counts a request in. The signal is aborted when its answer has been sent, or can no longer be as the caller has left.
   * One that is too many closes the connection, is not counted, and has a signal that is aborted from the start.
   */
  begin(request: IncomingMessage, response: ServerResponse): EndSignal;
  /** The same for what is no HTTP and goes on until the connection is closed. */
  beginOn(socket: Socket): EndSignal;
  /** Whether that is going on: nothing else may be written there. */
  isOn(socket: Socket): boolean;
  /** Acts once the complete requests that this connection has brought so far are over: answers go out in order. */
  afterAnswers(socket: Socket, act: () => void): void;
  /** The request that this connection has brought in part, while it is not over. */
  unfinishedOn(socket: Socket): Unfinished | undefined;
  /** Resolves when no request is open. */
  idle(): Promise<void>;
  /** Since when none is, by the clock of `performance`; null while one is. */
  quietSince(): number | null;
}

export interface Unfinished {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly over: EndSignal;
}

/** Tells of each connection whose last request is over. */
export function createExchanges(connections: OpenConnections, onIdle?: (connection: Connection) => void): Exchanges {
  let open = 0;
  let quietSince = performance.now();
  let waiting: (() => void)[] = [];

  function add(connection: Connection, request?: IncomingMessage, response?: ServerResponse): Exchange {
    const { exchanges } = connection;
    const ending = createEnding();
    const exchange: Exchange = {
      request,
      response,
      over: ending,
      end() {
        const at = exchanges.indexOf(exchange);
        if (at === -1) return;
        if (at === exchanges.length - 1) exchanges.pop();
        else exchanges.splice(at, 1);
        open -= 1;
        ending.end();
        if (exchanges.length === 0) onIdle?.(connection);
        if (open > 0) return;
        quietSince = performance.now();
        for (const resolve of waiting) resolve();
        waiting = [];
      },
    };
    exchanges.push(exchange);
    open += 1;
    return exchange;
  }

  return {
    begin(request, response) {
      const { socket } = request;
      const connection = connections.of(socket);
      if (connection.exchanges.length >= MAX_UNANSWERED) {
        socket.destroy();
        return endedSignal();
      }
      const { over, end } = add(connection, request, response);
      response.on('close', end);
      return over;
    },
    beginOn: (socket) => add(connections.of(socket)).over,
    isOn: (socket) => connections.of(socket).exchanges.some(({ request }) => request === undefined),
    afterAnswers(socket, act) {
      const last = connections.of(socket).exchanges.findLast(({ request }) => request?.complete === true);
      if (last === undefined) act();
      else last.over.addEventListener('abort', act, { once: true });
    },
    unfinishedOn: (socket) => connections.of(socket).exchanges.find(isUnfinished),
    idle() {
      if (open === 0) return Promise.resolve();
      return new Promise((resolve) => waiting.push(resolve));
    },
    quietSince: () => (open === 0 ? quietSince : null),
  };
}

function isUnfinished(exchange: Exchange): exchange is Exchange & Unfinished {
  return exchange.request?.complete === false;
}
