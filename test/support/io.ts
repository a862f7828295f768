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
  /** The signals that were left to do what they do by themselves. */
  readonly byDefaultSignals: readonly NodeJS.Signals[];
}

export interface MemoryIoOptions {
  readonly environment?: Record<string, string>;
  /** Of all three. */
  readonly isTTY?: boolean;
  /** The lines that stdin gives. */
  readonly lines?: readonly string[];
  /** Of stdout, for a command that writes to it by itself. */
  readonly fd?: number;
  /** Rejects each write to stdout with it. */
  readonly broken?: Error;
}

/** What a command touches of the process, in memory. */
export function memoryIo(options: MemoryIoOptions = {}): MemoryIo {
  const { environment = {}, isTTY = false, lines = [], fd = -1, broken } = options;
  const unread = [...lines];
  const byDefaultSignals: NodeJS.Signals[] = [];
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
    stdin: { isTTY, readLine: () => Promise.resolve(unread.shift() ?? null) },
    harden: () => [],
    settle: () => undefined,
    onSignal: (signal, handle) => void signals.on(signal, handle),
    byDefault: (signal) => void byDefaultSignals.push(signal),
    byDefaultSignals,
    bytes: () => Buffer.concat(stdout),
    text: () => Buffer.concat(stdout).toString('utf8'),
    errors: () => Buffer.concat(stderr).toString('utf8'),
    raise: (signal) => void signals.emit(signal),
  };
}

export const READER_IS_GONE = new OutputError('standard output cannot be written: write EPIPE');
