import { readSync } from 'node:fs';
import { type ConnectOpts, Socket, type SocketConstructorOpts } from 'node:net';
import type { Readable } from 'node:stream';
import type { Native } from '../os/native.js';

/** As much as a pipe holds. */
const READ_BYTES = 65_536;

/** One for all that a pipe holds and one for its end: who goes on writing must not keep this process from all else. */
const MAX_READS = 2;

/** What a program prints. Each piece is filled with zeros when it has been taken: `take` must copy what it needs. */
export type Take = (piece: Buffer) => void;

/** A pipe that is read through a Buffer that is filled with zeros after each piece. */
export interface WipedPipe {
  /** Takes what is there at present, as much as a pipe holds at most, and says whether there was anything. */
  drain(): boolean;
  /** From now on what comes is taken as it comes. */
  listen(): void;
  /** Resolves when the pipe has ended, or is taken from no more. */
  readonly ended: Promise<void>;
  /** From now on nothing is taken. */
  close(): void;
}

/** Of all pipes that are drained: nothing else runs meanwhile. */
const drained = Buffer.alloc(READ_BYTES);

/**
 * A pipe by its descriptor, which the kernel has given, does not block and is the pipe's from now on. To listen takes a
 * program that ends soon a fair part of its time, so that it begins when it is asked for.
 */
export function wipedPipe(descriptor: number, take: Take, kernel: Pick<Native, 'close'>): WipedPipe {
  let fd: number | undefined = descriptor;
  let socket: Socket | undefined;
  let end = (): void => undefined;
  const ended = new Promise<void>((resolve) => (end = resolve));

  function close(): void {
    socket?.destroy();
    if (fd === undefined) return;
    kernel.close(fd);
    fd = undefined;
    end();
  }

  return {
    ended,
    close,
    drain() {
      let any = false;
      for (let reads = 0; reads < MAX_READS && fd !== undefined; reads += 1) {
        const length = readNow(fd);
        if (length === undefined) break;
        if (length === 0) {
          close();
          break;
        }
        any = true;
        handOver(drained, length, take);
      }
      return any;
    },
    listen() {
      if (fd === undefined) return;
      socket = readFrom({ fd, readable: true }, take);
      fd = undefined;
      socket.once('close', end);
    },
  };
}

function handOver(buffer: Buffer, length: number, take: Take): void {
  const piece = buffer.subarray(0, length);
  take(piece);
  piece.fill(0);
}

/** The number of bytes, 0 at the end, undefined where there is nothing at present. */
function readNow(fd: number): number | undefined {
  try {
    return readSync(fd, drained);
  } catch {
    return undefined;
  }
}

/**
 * The output of a child of Node's, listened to.
 *
 * By itself Node reads a pipe into memory that it copies and gives back unwiped, where nobody can reach it. A socket
 * reads into a Buffer of its owner, but a child's pipe cannot be opened so: hence its handle moves to another socket.
 */
export function readWiped(output: Readable, take: Take): Pick<WipedPipe, 'ended' | 'close'> {
  const from = output as unknown as { _handle: unknown };
  const { _handle: handle } = from;
  from._handle = null;
  output.destroy();
  const socket = readFrom({ handle }, take);
  return {
    ended: new Promise((resolve) => socket.once('close', () => resolve())),
    close: () => void socket.destroy(),
  };
}

/** What the types leave out. */
type Options = SocketConstructorOpts & Pick<ConnectOpts, 'onread'> & { readonly handle?: unknown };

function readFrom(source: Options, take: Take): Socket {
  const buffer = Buffer.alloc(READ_BYTES);
  const options: Options = {
    ...source,
    writable: false,
    onread: {
      buffer,
      callback(length) {
        handOver(buffer, length, take);
        return true;
      },
    },
  };
  return new Socket(options).resume();
}
