import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { EndSignal } from '../ending.js';
import type { Peer } from '../os/peer.js';

/** What is known of a connection while it is open. */
export interface Connection {
  readonly socket: Socket;
  /** Requests that are not over, in their order. */
  readonly exchanges: Exchange[];
  /** Absent before it is looked at. */
  arrival?: Arrival;
  /** Absent before the first answer. */
  turn?: Turn;
  /** When the last request was over, by the clock of `performance`; absent before. */
  idleSince?: number;
}

/** A request and its answer. */
export interface Exchange {
  /** Undefined for what is no HTTP, as is its response. */
  readonly request: IncomingMessage | undefined;
  readonly response: ServerResponse | undefined;
  readonly over: EndSignal;
  readonly end: () => void;
}

/** How a connection came. */
export interface Arrival {
  readonly peer: Peer | null;
  readonly denied: boolean;
  readonly surplus: boolean;
}

/** The end of the answer whose turn was last, and when that turn began, by the clock of `performance`. */
export interface Turn {
  readonly over: EndSignal;
  readonly since: number;
}

export interface OpenConnections {
  /** Of a socket: from the first time that it is asked for, and open until the socket is closed. */
  of(socket: Socket): Connection;
  /** Those that are open, in no order. */
  readonly all: readonly Connection[];
  /** Resolves when none is. */
  empty(): Promise<void>;
}

/**
 * Where a socket keeps its connection: a WeakMap takes longer, and a collector longer still. One property for all, as each
 * more makes a socket larger than Node has planned for.
 */
const CONNECTION = Symbol('connection');

type Kept = Socket & { [CONNECTION]?: Open };

interface Open extends Connection {
  place: number;
}

export function createOpenConnections(): OpenConnections {
  // A list and not a set: a set that is filled and emptied all the time keeps what it held from being collected early.
  const all: Open[] = [];
  let waiting: (() => void)[] = [];

  function add(socket: Kept): Open {
    const connection: Open = { socket, exchanges: [], place: all.length };
    socket[CONNECTION] = connection;
    all.push(connection);
    socket.on('close', () => remove(connection));
    return connection;
  }

  function remove({ place, exchanges }: Open): void {
    const last = all.pop() as Open;
    if (last.place !== place) {
      all[place] = last;
      last.place = place;
    }
    // Of pipelined answers Node 20 closes only the one whose turn it is.
    for (const { end } of [...exchanges]) end();
    if (all.length > 0) return;
    for (const resolve of waiting) resolve();
    waiting = [];
  }

  return {
    of: (socket: Kept) => socket[CONNECTION] ?? add(socket),
    all,
    empty() {
      if (all.length === 0) return Promise.resolve();
      return new Promise((resolve) => waiting.push(resolve));
    },
  };
}
