import { printable } from '../domain/printable.js';
import type { OpenWay } from '../os/hardening.js';

/** What a command may touch of the process; main.ts fills it in. */
export interface Io {
  /** What is meant for this process alone is taken out of it. */
  readonly environment: Record<string, string | undefined>;
  readonly stdout: Output;
  /** Its writes never reject: a message that nobody takes changes nothing of the exit status. */
  readonly stderr: Output;
  readonly stdin: Input;
  /** Closes the ways into the memory of the process; gives those that stay open. */
  harden(): readonly OpenWay[];
  /** Lets go of memory that the start of a daemon has needed and that it needs no more. */
  settle(): void;
  /** In place of what the signal would do by itself, every time that it comes. */
  onSignal(signal: NodeJS.Signals, handle: () => void): void;
  /** What the signal would do by itself, once: of one that stops the process it returns when that goes on. */
  byDefault(signal: NodeJS.Signals): void;
}

export interface Input {
  readonly isTTY: boolean;
  /** The next line without its ending; null at the end. */
  readLine(): Promise<string | null>;
}

export interface Output {
  readonly fd: number;
  readonly isTTY: boolean;
  /** Resolves when the bytes are handed over; rejects with an OutputError when nobody takes them. */
  write(bytes: string | Buffer): Promise<void>;
}

/** A line on stderr. Arguments and file names may be in it. */
export function complain({ stderr }: Io, who: string, what: string): Promise<void> {
  return stderr.write(`${who}: ${printable(what)}\n`);
}

/** Standard output cannot be written: its reader is gone, or the disk is full. */
export class OutputError extends Error {
  override readonly name = 'OutputError';
}
