import type { IncomingMessage, ServerResponse } from 'node:http';
import { performance } from 'node:perf_hooks';
import type { Duplex } from 'node:stream';
import { createEnding, endedSignal, type EndSignal } from '../ending.js';

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
  beginOn(socket: Duplex): EndSignal;
  /** Acts once the complete requests that this connection has brought so far are over: answers go out in order. */
  afterAnswers(socket: Duplex, act: () => void): void;
  /** The request that this connection has brought in part, while it is not over. */
  unfinishedOn(socket: Duplex): Unfinished | undefined;
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

interface Exchange {
  /** Undefined for what is no HTTP, as is its response. */
  readonly request: IncomingMessage | undefined;
  readonly response: ServerResponse | undefined;
  readonly over: EndSignal;
  readonly end: () => void;
}

/** Where a connection keeps its own, as to find them in a WeakMap takes longer. */
const EXCHANGES = Symbol('exchanges');

type Connection = Duplex & { [EXCHANGES]?: Exchange[] };

export function createExchanges(): Exchanges {
  let open = 0;
  let quietSince = performance.now();
  let waiting: (() => void)[] = [];

  function exchangesOf(socket: Connection): Exchange[] {
    const known = socket[EXCHANGES];
    if (known !== undefined) return known;
    // A list and not a set: a set that is filled and emptied all the time keeps what it held from being collected early.
    const exchanges: Exchange[] = [];
    socket[EXCHANGES] = exchanges;
    // Of pipelined answers Node 20 closes only the one whose turn it is.
    socket.on('close', () => {
      for (const { end } of [...exchanges]) end();
    });
    return exchanges;
  }

  function add(exchanges: Exchange[], request?: IncomingMessage, response?: ServerResponse): Exchange {
    const ending = createEnding();
    const exchange: Exchange = {
      request,
      response,
      over: ending,
      end() {
        const at = exchanges.indexOf(exchange);
        if (at === -1) return;
        exchanges.splice(at, 1);
        open -= 1;
        ending.end();
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
      const exchanges = exchangesOf(socket);
      if (exchanges.length >= MAX_UNANSWERED) {
        socket.destroy();
        return endedSignal();
      }
      const { over, end } = add(exchanges, request, response);
      response.on('close', end);
      return over;
    },
    beginOn: (socket) => add(exchangesOf(socket)).over,
    afterAnswers(socket, act) {
      const last = exchangesOf(socket).findLast(({ request }) => request?.complete === true);
      if (last === undefined) act();
      else last.over.addEventListener('abort', act, { once: true });
    },
    unfinishedOn: (socket) => exchangesOf(socket).find(isUnfinished),
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
