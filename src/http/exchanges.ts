import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

/** Requests and their answers, by connection. */
export interface Exchanges {
  /** Counts a request in. The signal is aborted when its answer has been sent, or can no longer be as the caller has left. */
  begin(request: IncomingMessage, response: ServerResponse): AbortSignal;
  /** Acts once the complete requests that this connection has brought so far are over: answers go out in order. */
  afterAnswers(socket: Duplex, act: () => void): void;
  /** Resolves when no request is open. */
  idle(): Promise<void>;
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly over: AbortSignal;
  readonly end: () => void;
}

export function createExchanges(): Exchanges {
  const connections = new WeakMap<Duplex, Set<Exchange>>();
  let open = 0;
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

  return {
    begin(request, response) {
      const controller = new AbortController();
      const exchanges = exchangesOf(request.socket);
      const exchange: Exchange = {
        request,
        over: controller.signal,
        end() {
          if (!exchanges.delete(exchange)) return;
          open -= 1;
          controller.abort();
          if (open > 0) return;
          for (const resolve of waiting) resolve();
          waiting = [];
        },
      };
      exchanges.add(exchange);
      open += 1;
      response.once('close', exchange.end);
      return exchange.over;
    },
    afterAnswers(socket, act) {
      const last = [...exchangesOf(socket)].findLast(({ request }) => request.complete);
      if (last === undefined) act();
      else last.over.addEventListener('abort', act, { once: true });
    },
    idle() {
      if (open === 0) return Promise.resolve();
      return new Promise((resolve) => waiting.push(resolve));
    },
  };
}
