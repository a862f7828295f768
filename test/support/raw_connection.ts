import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Ending } from './temporary.js';
import { until } from './until.js';

/** A connection to a Unix socket of which the test sees each byte. */
export interface RawConnection {
  readonly socket: Socket;
  send(bytes: string | Buffer): void;
  /** All that has come so far. */
  received(): string;
  /** Waits until this has come; throws when the other side ends before. */
  receives(text: string): Promise<void>;
  /** All that came, once the connection is closed on both sides. */
  closed(): Promise<string>;
}

export async function openRaw(t: Ending, path: string): Promise<RawConnection> {
  const socket = connect({ path, allowHalfOpen: true });
  const chunks: Buffer[] = [];
  let ended = false;
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.on('error', () => undefined); // what came before counts
  socket.on('end', () => {
    ended = true;
    socket.end();
  });
  // Not `once`, which rejects on an error.
  const closed = new Promise((resolve) => socket.once('close', resolve));
  await once(socket, 'connect');
  t.teardown(() => socket.destroy());
  const received = (): string => Buffer.concat(chunks).toString('latin1');
  return {
    socket,
    send: (bytes) => void socket.write(bytes),
    received,
    async receives(text) {
      await until(() => ended || received().includes(text));
      if (!received().includes(text)) throw new Error(`the connection has ended after: ${received()}`);
    },
    async closed() {
      await closed;
      return received();
    },
  };
}

/** A request as it stands on the wire. */
export function requestText(line: string, headers: Record<string, string> = {}): string {
  const lines = [`${line} HTTP/1.1`, 'Host: localhost', ...Object.entries(headers).map((pair) => pair.join(': '))];
  return `${lines.join('\r\n')}\r\n\r\n`;
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** Takes apart what came over one connection: answers that each say their length. */
export function splitAnswers(received: string): RawAnswer[] {
  const answers: RawAnswer[] = [];
  for (let rest = received; rest !== '';) {
    const end = rest.indexOf('\r\n\r\n');
    const [statusLine = '', ...lines] = rest.slice(0, end).split('\r\n');
    const headers = new Map(
      lines.map((line) => {
        const [name = '', ...value] = line.split(': ');
        return [name.toLowerCase(), value.join(': ')];
      }),
    );
    const length = Number(headers.get('content-length') ?? 0);
    answers.push({ status: Number(statusLine.split(' ')[1]), headers, body: rest.slice(end + 4, end + 4 + length) });
    rest = rest.slice(end + 4 + length);
  }
  return answers;
}
