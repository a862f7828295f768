import { closeSync, constants, fstatSync, openSync, statfsSync, write, writeSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { LOCAL_FILE_SYSTEMS } from '../os/file_system.js';
import { type Native, native } from '../os/native.js';
import { createLogger } from './logger.js';

/** Log lines that may wait for a sink that does not take them; beyond it they are dropped and counted. */
const MAX_WAITING_LOG_BYTES = 1_048_576;

/** Between two tries of a sink that is full. */
const RETRY_MS = 10;

/** A line that comes so long after the last one was written, which came alone, is written at once: it may be alone, too. */
const APART_MS = 0.1;

/** What is written at once is mostly smaller. */
const KEPT_BYTES = 65_536;

/** Of a unit of a string's length. */
const MAX_UTF8_BYTES = 3;

const LF = 0x0a;

/**
 * Writes lines to a file descriptor, in order, all lines of one turn of the event loop in one write, apart from the first
 * where they mostly come alone. It never blocks the process, whoever reads the other end.
 */
export interface LineWriter {
  /** Best effort: for the log. */
  write(line: string): void;
  /**
   * True once the line is written; false when it could not be within the time given. At once where that is known. For
   * audit records. `alone`: whoever appends knows that no other line comes in this turn.
   */
  append(line: string, alone?: boolean): boolean | Promise<boolean>;
  /** Resolves when all lines have been written or given up. */
  drained(): Promise<void>;
  /** When drained, lets go of what it has opened itself: nothing may be written afterwards. */
  close(): Promise<void>;
}

interface Line {
  readonly text: string;
  /** When it is given up if it is not written, by the clock of `performance`. */
  readonly dueAt: number;
  /** Absent from log lines. */
  settle?: (written: boolean) => void;
}

/** In the place of what has been told already. */
const given = (): void => undefined;

export function createLineWriter(
  target: number,
  timeoutMs: number,
  startsTorn = false,
  kernel: Native | null = native,
): LineWriter {
  const sink = withoutBlocking(target, kernel);
  const report = createLogger('warn', { write: log });
  let waiting: Line[] = [];
  /** What the sink has not yet taken as a whole. */
  let writing: readonly Line[] = [];
  let waitingLogBytes = 0;
  let droppedLogLines = 0;
  /** The last write ended within a line: the next one must not continue it. */
  let torn = startsTorn;
  let scheduled = false;
  let lastWriteAt = -Infinity;
  let lastCount = 0;
  /** While the sink lets wait. */
  let busy: Promise<void> | undefined;
  let expiry: NodeJS.Timeout | undefined;
  const kept = Buffer.alloc(KEPT_BYTES);

  function enqueue(line: Line): void {
    waiting.push(line);
    if (busy !== undefined) watchExpiry();
    else if (!scheduled) setImmediate(work);
    scheduled = busy === undefined;
  }

  /** Writes what one turn of the event loop has brought; mostly the sink takes it at once. */
  function work(): void {
    scheduled = false;
    const lines = takeWaiting();
    const bytes = bytesOf(lines);
    const result = sink.write(bytes);
    lastCount = lines.length;
    lastWriteAt = performance.now();
    if (result === bytes.length) end(lines, bytes, result);
    else busy = workOn(lines, bytes, result);
  }

  async function workOn(lines: readonly Line[], first: Buffer, result: Written): Promise<void> {
    let begun: Written | undefined = result;
    writing = lines;
    for (let bytes = first; writing.length > 0; bytes = bytesOf(writing)) {
      watchExpiry();
      end(writing, bytes, await writeAll(bytes, begun));
      begun = undefined;
      writing = takeWaiting();
    }
    busy = undefined;
    clearTimeout(expiry);
    expiry = undefined;
  }

  function takeWaiting(): readonly Line[] {
    const lines = waiting;
    waiting = [];
    waitingLogBytes = 0;
    return lines;
  }

  /** Until the next call: mostly in memory that is used again and again. */
  function bytesOf(lines: readonly Line[]): Buffer {
    let text = torn && lines.length > 0 ? '\n' : '';
    for (const line of lines) text += line.text;
    return text.length * MAX_UTF8_BYTES > kept.length ? Buffer.from(text) : kept.subarray(0, kept.write(text));
  }

  /** Tells of each line whether it is among the bytes that the sink has taken. */
  function end(lines: readonly Line[], bytes: Buffer, written: number): void {
    const complete = written === bytes.length;
    let lineEnd = torn ? 1 : 0;
    if (written > 0) torn = bytes[written - 1] !== LF;
    for (const { text, settle } of lines) {
      if (!complete) lineEnd += Buffer.byteLength(text);
      const isWritten = complete || lineEnd <= written;
      if (settle !== undefined) settle(isWritten);
      else if (!isWritten) droppedLogLines += 1;
    }
    if (!complete || droppedLogLines === 0) return;
    const count = droppedLogLines;
    droppedLogLines = 0;
    report.warn({ event: 'log_lines_dropped', count });
  }

  /** How many bytes the sink has taken before it failed or time was up. */
  async function writeAll(bytes: Buffer, begun: Written | undefined): Promise<number> {
    const giveUpAt = performance.now() + timeoutMs;
    let written = 0;
    let next = begun;
    while (written < bytes.length) {
      const result = await (next ?? sink.write(bytes.subarray(written)));
      next = undefined;
      if (typeof result === 'number') written += result;
      else if (result === 'EAGAIN' && performance.now() < giveUpAt) await sleep(RETRY_MS);
      else break;
    }
    return written;
  }

  /** While the sink lets wait, lines are given up when their time has come; they are due in the order in which they came. */
  function watchExpiry(): void {
    if (expiry !== undefined) return;
    const now = performance.now();
    const awaited = [...writing, ...waiting].filter(({ settle }) => settle !== undefined && settle !== given);
    for (const line of awaited) {
      if (line.dueAt > now) break;
      line.settle?.(false);
      line.settle = given;
    }
    // What is not being written yet never will be: its answer has said so.
    waiting = waiting.filter(({ settle }) => settle !== given);
    const next = awaited.find(({ settle }) => settle !== given);
    if (next === undefined) return;
    expiry = setTimeout(() => {
      expiry = undefined;
      watchExpiry();
    }, next.dueAt - now);
  }

  function log(text: string): void {
    const length = Buffer.byteLength(text);
    if (waitingLogBytes + length > MAX_WAITING_LOG_BYTES) {
      droppedLogLines += 1;
      return;
    }
    waitingLogBytes += length;
    enqueue({ text, dueAt: Infinity });
  }

  return {
    write: log,
    append(text, alone = false) {
      const now = performance.now();
      const dueAt = now + timeoutMs;
      const isAlone = alone || (lastCount <= 1 && now - lastWriteAt >= APART_MS);
      if (!isAlone || scheduled || busy !== undefined || sink.letsWait === true)
        return new Promise((settle) => enqueue({ text, dueAt, settle }));
      let known: boolean | undefined;
      let settle = (written: boolean): void => void (known = written);
      waiting.push({ text, dueAt, settle: (written) => settle(written) });
      work();
      return known ?? new Promise((later) => (settle = later));
    },
    async drained() {
      while (scheduled || busy !== undefined) {
        await (busy ?? new Promise((resolve) => setImmediate(resolve)));
      }
    },
    async close() {
      await this.drained();
      sink.close?.();
    },
  };
}

type Written = number | string | undefined | Promise<number | string | undefined>;

interface Sink {
  /** The number of bytes written, or the code of the error. */
  write(bytes: Buffer): Written;
  /** The answer always comes later. */
  readonly letsWait?: true;
  /** Absent where nothing has been opened. */
  readonly close?: () => void;
}

/**
 * A write that waits for a reader can be neither given up nor left behind at the end of the process. A local file takes
 * what it gets at once. A pipe and a terminal are written through a description of our own that does not block, and what
 * goes to a socket, as that of the journal, is sent without waiting. Where neither is to be had the descriptor itself
 * serves.
 */
function withoutBlocking(fd: number, kernel: Native | null): Sink {
  try {
    const target = fstatSync(fd);
    if (target.isSocket() && kernel !== null) return { write: (bytes) => kernel.send(fd, bytes) };
    if (target.isFile() && LOCAL_FILE_SYSTEMS.has(statfsSync(`/proc/self/fd/${fd}`).type)) return writingAtOnce(fd);
    if (!target.isFIFO() && !target.isCharacterDevice()) return writing(fd);
    const own = openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    return { ...writingAtOnce(own), close: () => closeSync(own) };
  } catch {
    return writing(fd);
  }
}

/** For what takes or refuses bytes without letting wait: another thread would cost more than the write. */
function writingAtOnce(fd: number): Sink {
  return {
    write(bytes) {
      try {
        return writeSync(fd, bytes);
      } catch (error) {
        return (error as NodeJS.ErrnoException).code;
      }
    },
  };
}

function writing(fd: number): Sink {
  return {
    letsWait: true,
    write: (bytes) =>
      new Promise((resolve) => {
        write(fd, bytes, (error, written) => {
          resolve(error === null ? written : error.code);
        });
      }),
  };
}
