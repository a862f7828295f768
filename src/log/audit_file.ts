import { closeSync, constants, fstatSync, openSync, statSync } from 'node:fs';
import { isSameFile, lookAtPath } from '../os/path_look.js';
import { createLineWriter, type LineWriter } from './line_writer.js';
import { endsWithinLine } from './torn_line.js';

export interface AuditFile extends Pick<LineWriter, 'append'> {
  /** Whether a path leads to the very file that is open. */
  isAt(path: string): boolean;
  /** Closes the file once what was appended is written or given up. */
  close(): Promise<void>;
}

/** Opens a file for audit records: appended to, made with mode 0600. Throws what the operating system says. */
export function openAuditFile(path: string, timeoutMs: number): AuditFile {
  // Readable, to see how it ends; but whoever reads a FIFO keeps records that nobody else will. Without O_NONBLOCK one
  // that nobody reads would hold the daemon for ever.
  const isFifo = statSync(path, { throwIfNoEntry: false })?.isFIFO() === true;
  const access = (isFifo ? constants.O_WRONLY : constants.O_RDWR) | constants.O_NONBLOCK;
  const fd = openSync(path, access | constants.O_APPEND | constants.O_CREAT, 0o600);
  const writer = createLineWriter(fd, timeoutMs, endsWithinLine(fd));
  const opened = fstatSync(fd, { bigint: true });
  return {
    isAt: (other) => isSameFile(opened, lookAtPath(other)),
    append: (line, alone) => writer.append(line, alone),
    async close() {
      await writer.close();
      try {
        closeSync(fd);
      } catch {
        // It is closed whatever the system says, and of each record it has been told whether it was written.
      }
    },
  };
}
