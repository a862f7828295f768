import { EventEmitter } from 'node:events';
import { type Io, OutputError } from '../../src/cli/io.js';

export interface MemoryIo extends Io {
  /** All that was written to stdout. */
  bytes(): Buffer;
  text(): string;
  /** All that was written to stderr. */
  errors(): string;
  /** As if the process got this signal. */
  raise(signal: NodeJS.Signals): void;
}

export interface MemoryIoOptions {
  readonly environment?: Record<string, string>;
  readonly isTTY?: boolean;
  /** Of stdout, for a command that writes to it by itself. */
  readonly fd?: number;
  /** Rejects each write to stdout with it. */
  readonly broken?: Error;
}

/** What a command touches of the process, in memory. */
export function memoryIo({ environment = {}, isTTY = false, fd = -1, broken }: MemoryIoOptions = {}): MemoryIo {
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  const signals = new EventEmitter();
  return {
    environment,
    stdout: {
      fd,
      isTTY,
      write(bytes) {
        if (broken !== undefined) return Promise.reject(broken);
        stdout.push(Buffer.from(bytes)); // a copy: its owner may fill it with zeros
        return Promise.resolve();
      },
    },
    stderr: {
      fd: -1,
      isTTY,
      write(bytes) {
        stderr.push(Buffer.from(bytes));
        return Promise.resolve();
      },
    },
    harden: () => [],
    onSignal: (signal, handle) => void signals.on(signal, handle),
    bytes: () => Buffer.concat(stdout),
    text: () => Buffer.concat(stdout).toString('utf8'),
    errors: () => Buffer.concat(stderr).toString('utf8'),
    raise: (signal) => void signals.emit(signal),
  };
}

export const READER_IS_GONE = new OutputError('standard output cannot be written: write EPIPE');
