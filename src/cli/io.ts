import type { OpenWay } from '../os/hardening.js';

/** What a command may touch of the process; main.ts fills it in. */
export interface Io {
  /** What is meant for this process alone is taken out of it. */
  readonly environment: Record<string, string | undefined>;
  readonly stdout: Output;
  /** Its writes never reject: a message that nobody takes changes nothing of the exit status. */
  readonly stderr: Output;
  /** Closes the ways into the memory of the process; gives those that stay open. */
  harden(): readonly OpenWay[];
  /** In place of what the signal would do by itself, every time that it comes. */
  onSignal(signal: NodeJS.Signals, handle: () => void): void;
}

export interface Output {
  readonly fd: number;
  readonly isTTY: boolean;
  /** Resolves when the bytes are handed over; rejects with an OutputError when nobody takes them. */
  write(bytes: string | Buffer): Promise<void>;
}

/** Standard output cannot be written: its reader is gone, or the disk is full. */
export class OutputError extends Error {
  override readonly name = 'OutputError';
}
