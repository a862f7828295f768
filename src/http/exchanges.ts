import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

/** Requests that a connection may bring before the first of them is answered: each one waits in memory for its turn. */
const MAX_UNANSWERED = 128;

/** Requests and their answers, by connection. */
export interface Exchanges {
  /**
   * Counts a request in. The signal is aborted when its answer has been sent, or can no longer be as the caller has left.
   * One that is too many closes the connection, is not counted, and has a signal that is aborted from the start.
   */
  begin(request: IncomingMessage, response: ServerResponse): AbortSignal;
  /** The same for what is no HTTP and goes on until the connection is closed. */
  beginOn(socket: Duplex): AbortSignal;
  /** Acts once the complete requests that this connection has brought so far are over: answers go out in order. */
  afterAnswers(socket: Duplex, act: () => void): void;
  /** Resolves when no request is open. */
  idle(): Promise<void>;
  /** Since when none is, by the clock of `performance`; null while one is. */
  quietSince(): number | null;
}

interface Exchange {
  readonly request?: IncomingMessage;
  readonly over: AbortSignal;
  readonly end: () => void;
}

export function createExchanges(): Exchanges {
  const connections = new WeakMap<Duplex, Set<Exchange>>();
  let open = 0;
  let quietSince = performance.now();
  let waiting: (() => void)[] = [];

  function exchangesOf(socket: Duplex): Set<Exchange> {
    const known = connections.get(socket);
    if (known !== undefined) return known;
    const exchanges = new Set<Exchange>();
    connections.set(socket, exchanges);
    // Of pipelined answers Node 20 closes only the one whose turn it is.
    socket.once('close', () => {
      for (const { end } of exchanges) end();
    });
    return exchanges;
  }

  function add(socket: Duplex, request?: IncomingMessage): Exchange {
    const controller = new AbortController();
    const exchanges = exchangesOf(socket);
    const exchange: Exchange = {
      ...(request && { request }),
      over: controller.signal,
      end() {
        if (!exchanges.delete(exchange)) return;
        open -= 1;
        controller.abort();
        if (open > 0) return;
        quietSince = performance.now();
        for (const resolve of waiting) resolve();
        waiting = [];
      },
    };
    exchanges.add(exchange);
    open += 1;
    return exchange;
  }

  return {
    begin(request, response) {
      const { socket } = request;
      if (exchangesOf(socket).size >= MAX_UNANSWERED) {
        socket.destroy();
        return AbortSignal.abort();
      }
      const { over, end } = add(socket, request);
      response.once('close', end);
      return over;
    },
    beginOn: (socket) => add(socket).over,
    afterAnswers(socket, act) {
      const last = [...exchangesOf(socket)].findLast(({ request }) => request?.complete === true);
      if (last === undefined) act();
      else last.over.addEventListener('abort', act, { once: true });
    },
    idle() {
      if (open === 0) return Promise.resolve();
      return new Promise((resolve) => waiting.push(resolve));
    },
    quietSince: () => (open === 0 ? quietSince : null),
  };
}
