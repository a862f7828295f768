import { closeSync, constants, fstatSync, openSync, write } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Native, native } from '../os/native.js';
import { createLogger } from './logger.js';

/** Log lines that may wait for a sink that does not take them; beyond it they are dropped and counted. */
const MAX_WAITING_LOG_BYTES = 1_048_576;

/** Between two tries of a sink that is full. */
const RETRY_MS = 10;

const LF = 0x0a;

/**
 * Writes lines to a file descriptor, in order, all lines of one turn of the event loop in one write. It never blocks
 * the process, whoever reads the other end.
 */
export interface LineWriter {
  /** Best effort: for the log. */
  write(line: string): void;
  /** True once the line is written; false when it could not be within the time given. For audit records. */
  append(line: string): Promise<boolean>;
  /** Resolves when all lines have been written or given up. */
  drained(): Promise<void>;
  /** When drained, lets go of what it has opened itself: nothing may be written afterwards. */
  close(): Promise<void>;
}

interface Line {
  readonly bytes: Buffer;
  /** Absent from log lines. */
  readonly settle?: (written: boolean) => void;
}

export function createLineWriter(
  target: number,
  timeoutMs: number,
  startsTorn = false,
  kernel: Native | null = native,
): LineWriter {
  const sink = withoutBlocking(target, kernel);
  const report = createLogger('warn', { write: log });
  let waiting = new Set<Line>();
  let waitingLogBytes = 0;
  let droppedLogLines = 0;
  /** The last write ended within a line: the next one must not continue it. */
  let torn = startsTorn;
  /** From the first line that waits until none does. */
  let busy: Promise<void> | undefined;

  function enqueue(line: Line): void {
    waiting.add(line);
    busy ??= work();
  }

  async function work(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    while (waiting.size > 0) {
      const lines = [...waiting];
      waiting = new Set();
      waitingLogBytes = 0;
      const complete = await flush(lines);
      if (complete && droppedLogLines > 0) {
        const count = droppedLogLines;
        droppedLogLines = 0;
        report.warn({ event: 'log_lines_dropped', count });
      }
    }
    busy = undefined;
  }

  /** Whether all of it is written. */
  async function flush(lines: readonly Line[]): Promise<boolean> {
    const bytes = Buffer.concat([...(torn ? [Buffer.of(LF)] : []), ...lines.map((line) => line.bytes)]);
    const written = await writeAll(bytes);
    let end = torn ? 1 : 0;
    for (const line of lines) {
      end += line.bytes.length;
      if (line.settle !== undefined) line.settle(end <= written);
      else if (end > written) droppedLogLines += 1;
    }
    if (written > 0) torn = bytes[written - 1] !== LF;
    return written === bytes.length;
  }

  /** How many bytes the sink has taken before it failed or time was up. */
  async function writeAll(bytes: Buffer): Promise<number> {
    const giveUpAt = performance.now() + timeoutMs;
    let written = 0;
    while (written < bytes.length) {
      const result = await sink.write(bytes.subarray(written));
      if (typeof result === 'number') written += result;
      else if (result === 'EAGAIN' && performance.now() < giveUpAt) await sleep(RETRY_MS);
      else break;
    }
    return written;
  }

  function log(line: string): void {
    const bytes = Buffer.from(line);
    if (waitingLogBytes + bytes.length > MAX_WAITING_LOG_BYTES) {
      droppedLogLines += 1;
      return;
    }
    waitingLogBytes += bytes.length;
    enqueue({ bytes });
  }

  return {
    write: log,
    append(text) {
      return new Promise((resolve) => {
        const line: Line = {
          bytes: Buffer.from(text),
          settle(written) {
            clearTimeout(timer);
            resolve(written);
          },
        };
        const timer = setTimeout(() => {
          resolve(false);
          // What is not being written yet never will be: its answer has said so.
          waiting.delete(line);
        }, timeoutMs);
        enqueue(line);
      });
    },
    drained: () => Promise.resolve(busy),
    async close() {
      await busy;
      sink.close?.();
    },
  };
}

interface Sink {
  /** The number of bytes written, or the code of the error. */
  write(bytes: Buffer): Promise<number | string | undefined> | number | string;
  /** Absent where nothing has been opened. */
  readonly close?: () => void;
}

/**
 * A write that waits for a reader can be neither given up nor left behind at the end of the process. So a pipe is
 * written through a description of our own that does not block, and what goes to a socket, as that of the journal, is
 * sent without waiting. Where neither is to be had the descriptor itself serves.
 */
function withoutBlocking(fd: number, kernel: Native | null): Sink {
  try {
    const target = fstatSync(fd);
    if (target.isSocket() && kernel !== null) return { write: (bytes) => kernel.send(fd, bytes) };
    if (!target.isFIFO()) return writing(fd);
    const own = openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK);
    return { ...writing(own), close: () => closeSync(own) };
  } catch {
    return writing(fd);
  }
}

function writing(fd: number): Sink {
  return {
    write: (bytes) =>
      new Promise((resolve) => {
        write(fd, bytes, (error, written) => {
          resolve(error === null ? written : error.code);
        });
      }),
  };
}
