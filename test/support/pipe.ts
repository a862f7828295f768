import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type Ending, temporaryFolder } from './temporary.js';

/** A pipe of this process, both ends of it. */
export interface Pipe {
  /** The writing end; writing to it blocks when the pipe is full. */
  readonly fd: number;
  /** Takes up to so many bytes out of the pipe; all that is there without a number. */
  read(bytes?: number): string;
  /** Writes into it until it takes no more; gives how much that was. */
  fill(): number;
  closeReader(): void;
  /** Opens the reading end again. */
  openReader(): void;
}

export function openPipe(t: Ending): Pipe {
  const path = join(temporaryFolder(t), 'pipe');
  execFileSync('mkfifo', [path]);
  const forReading = (): number => openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  let reader = forReading();
  const fd = openSync(path, constants.O_WRONLY);
  const filler = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  let readerOpen = true;
  const closeReader = (): void => {
    if (readerOpen) closeSync(reader);
    readerOpen = false;
  };
  t.teardown(() => {
    closeReader();
    closeSync(fd);
    closeSync(filler);
  });
  return {
    fd,
    read(bytes = Infinity) {
      let text = '';
      while (text.length < bytes) {
        const chunk = Buffer.alloc(Math.min(bytes - text.length, 65_536));
        const count = orFull(() => readSync(reader, chunk));
        if (count === 0) break;
        text += chunk.toString('latin1', 0, count);
      }
      return text;
    },
    fill() {
      const page = Buffer.alloc(4_096, '#');
      let total = 0;
      for (let count; (count = orFull(() => writeSync(filler, page))) > 0;) total += count;
      return total;
    },
    closeReader,
    openReader() {
      reader = forReading();
      readerOpen = true;
    },
  };
}

function orFull(act: () => number): number {
  try {
    return act();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return 0;
    throw error;
  }
}
