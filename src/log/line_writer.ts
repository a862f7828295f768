import { write } from 'node:fs';

/** Log lines that may wait for a sink that does not take them; beyond it they are dropped and counted. */
const MAX_WAITING_LOG_BYTES = 1_048_576;

/** Between two tries of a sink that is full but not blocking. */
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
}

interface Line {
  readonly bytes: Buffer;
  /** Undefined for log lines. */
  readonly settle?: (written: boolean) => void;
  settled: boolean;
}

export function createLineWriter(fd: number, timeoutMs: number): LineWriter {
  let waiting: Line[] = [];
  let writing: Line[] = [];
  let waitingLogBytes = 0;
  let droppedLogLines = 0;
  /** The last write ended within a line: the next one must not continue it. */
  let torn = false;
  let scheduled = false;
  let drainWaiters: (() => void)[] = [];

  function enqueue(line: Line): void {
    waiting.push(line);
    if (scheduled || writing.length > 0) return;
    scheduled = true;
    setImmediate(() => {
      scheduled = false;
      void flush();
    });
  }

  function settle(line: Line, written: boolean): void {
    if (line.settled) return;
    line.settled = true;
    line.settle?.(written);
  }

  async function flush(): Promise<void> {
    writing = waiting;
    waiting = [];
    waitingLogBytes = 0;
    const bytes = Buffer.concat([...(torn ? [Buffer.of(LF)] : []), ...writing.map((line) => line.bytes)]);
    const { written, failed } = await writeAll(bytes);
    let end = torn ? 1 : 0;
    for (const line of writing) {
      end += line.bytes.length;
      settle(line, end <= written);
    }
    if (written > 0) torn = bytes[written - 1] !== LF;
    writing = [];
    if (!failed && droppedLogLines > 0) {
      const count = droppedLogLines;
      droppedLogLines = 0;
      write_(`${JSON.stringify({ level: 'warn', event: 'log_lines_dropped', count })}\n`);
    }
    if (waiting.length > 0) {
      await flush();
      return;
    }
    for (const resolve of drainWaiters) resolve();
    drainWaiters = [];
  }

  async function writeAll(bytes: Buffer): Promise<{ written: number; failed: boolean }> {
    const giveUpAt = performance.now() + timeoutMs;
    let written = 0;
    while (written < bytes.length) {
      const result = await writeSome(fd, bytes.subarray(written));
      if (typeof result === 'number') {
        written += result;
      } else if (result === 'EAGAIN' && performance.now() < giveUpAt) {
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      } else if (result !== 'EINTR') {
        return { written, failed: true };
      }
    }
    return { written, failed: false };
  }

  function write_(line: string): void {
    const bytes = Buffer.from(line);
    if (waitingLogBytes + bytes.length > MAX_WAITING_LOG_BYTES) {
      droppedLogLines += 1;
      return;
    }
    waitingLogBytes += bytes.length;
    enqueue({ bytes, settled: false });
  }

  return {
    write: write_,
    append(text) {
      return new Promise((resolve) => {
        const line: Line = {
          bytes: Buffer.from(text),
          settled: false,
          settle: (written) => {
            clearTimeout(timer);
            resolve(written);
          },
        };
        const timer = setTimeout(() => {
          settle(line, false);
          // What is not being written yet never will be: its answer has said so.
          waiting = waiting.filter((other) => other !== line);
        }, timeoutMs);
        enqueue(line);
      });
    },
    drained() {
      if (waiting.length === 0 && writing.length === 0) return Promise.resolve();
      return new Promise((resolve) => drainWaiters.push(resolve));
    },
  };
}

/** The number of bytes written, or the code of the error. */
function writeSome(fd: number, bytes: Buffer): Promise<number | string> {
  return new Promise((resolve) => {
    write(fd, bytes, (error, written) => {
      resolve(error === null ? written : (error.code ?? 'EIO'));
    });
  });
}
