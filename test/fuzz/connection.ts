import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { takeAnswer, type WireAnswer } from './contract.js';

/** In which an answer has to come, on whatever machine. */
const ANSWER_MS = 20_000;

/** A caller that keeps its connection for as long as the daemon does, and sees each byte. */
export class Connection {
  readonly #path: string;
  #socket: Socket | undefined;
  #received = Buffer.alloc(0);
  #wake: () => void = () => undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** Sends one request that is whole and gives its answer. */
  async ask(request: Buffer): Promise<WireAnswer> {
    const socket = this.#socket ?? (await this.#open());
    socket.write(request);
    const giveUpAt = Date.now() + ANSWER_MS;
    for (;;) {
      const taken = takeAnswer(this.#received);
      if (taken !== undefined) {
        this.#received = Buffer.from(taken.rest);
        if (taken.rest.length > 0) throw new Error(`more than one answer: ${taken.rest.toString('latin1')}`);
        if (taken.answer.headers.get('connection') === 'close') this.close();
        return taken.answer;
      }
      if (socket.readableEnded || socket.destroyed) throw new Error('the connection was closed without an answer');
      if (Date.now() > giveUpAt) throw new Error('no answer');
      await this.#more();
    }
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
    this.#received = Buffer.alloc(0);
  }

  async #open(): Promise<Socket> {
    const socket = connect(this.#path);
    socket.on('error', () => this.#wake());
    socket.on('close', () => {
      if (this.#socket === socket) this.#socket = undefined;
      this.#wake();
    });
    socket.on('data', (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#wake();
    });
    await once(socket, 'connect');
    this.#socket = socket;
    return socket;
  }

  /** Until something happens, but not for ever. */
  #more(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ANSWER_MS);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** Sends bytes, closes the sending half, and gives all that comes back. */
export function sendAndEnd(path: string, bytes: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect(path, () => socket.end(bytes));
    const timer = setTimeout(() => {
      reject(new Error('the connection was not closed'));
      socket.destroy();
    }, ANSWER_MS);
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', () => undefined); // the daemon may close before it has read all
    socket.once('close', () => {
      clearTimeout(timer);
      resolve(Buffer.concat(chunks));
    });
  });
}
