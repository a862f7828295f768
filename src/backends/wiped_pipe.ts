import { type ConnectOpts, Socket, type SocketConstructorOpts } from 'node:net';
import type { Readable } from 'node:stream';

const READ_BYTES = 65_536;

/** What the types leave out. */
type Options = SocketConstructorOpts & Pick<ConnectOpts, 'onread'> & { readonly handle?: unknown };

/** Reads a pipe through one Buffer that is filled with zeros after each piece: `take` must copy what it needs. */
export function readWipedFrom(fd: number, take: (piece: Buffer) => void): Socket {
  return readFrom({ fd, readable: true }, take);
}

/**
 * The same for the output of a child of Node's.
 *
 * By itself Node reads a pipe into memory that it copies and gives back unwiped, where nobody can reach it. A socket
 * reads into a Buffer of its owner, but a child's pipe cannot be opened so: hence its handle moves to another socket.
 */
export function readWiped(output: Readable, take: (piece: Buffer) => void): Socket {
  const from = output as unknown as { _handle: unknown };
  const { _handle: handle } = from;
  from._handle = null;
  output.destroy();
  return readFrom({ handle }, take);
}

function readFrom(source: Options, take: (piece: Buffer) => void): Socket {
  const buffer = Buffer.alloc(READ_BYTES);
  const options: Options = {
    ...source,
    writable: false,
    onread: {
      buffer,
      callback(length) {
        const piece = buffer.subarray(0, length);
        take(piece);
        piece.fill(0);
        return true;
      },
    },
  };
  return new Socket(options).resume();
}
