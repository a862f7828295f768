import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { allocateSecretBytes, copySecretBytes } from '../domain/secret_bytes.js';
import type { EndSignal } from '../ending.js';
import type { Program } from '../os/native.js';
import { signalGroup, startChild } from './child.js';

/** How much of what a program says is read; the rest is thrown away. gpg says up to 200 bytes of each key of an entry. */
const MAX_SAID_BYTES = 1_048_576;

/** How long a killed process group may take to be gone before it is given up: a zombie whose parent does not reap it. */
const MAX_REAP_MS = 2_000;

export interface Command extends Program {
  /** Above it the process group is killed; 0 throws the output away. */
  readonly maxStdoutBytes: number;
  /**
   * Whether what the program tells of its work proves the output to be what was asked for. It has a descriptor 3 to tell
   * it then, which is read as a whole. Left out, exit status 0 proves it.
   */
  readonly proves?: (status: Buffer) => boolean;
  /** Kills the process group. */
  readonly signal: EndSignal;
}

export type CommandEnd =
  /** Exit status 0. The Buffer is the receiver's, to be filled with zeros. */
  | { readonly end: 'succeeded'; readonly stdout: Buffer }
  /** What it said is the receiver's, to be wiped: a failed decryption prints plaintext on stderr. */
  | ({ readonly end: 'failed'; readonly exitCode: number } & Said)
  /** Exit status 0, without the proof that was asked for. */
  | { readonly end: 'unproven' }
  | { readonly end: 'killed_by_signal' }
  | { readonly end: 'too_large' }
  /** There is none for what the program prints. */
  | { readonly end: 'no_memory' }
  | { readonly end: 'aborted' }
  /** No such file. */
  | { readonly end: 'missing' }
  /** Not executable, no process or descriptor to be had, … */
  | { readonly end: 'cannot_start' };

/** What a program that failed has said, for people and for programs. */
export interface Said {
  readonly stderr: Buffer;
  /** Empty where it had no descriptor 3. */
  readonly status: Buffer;
}

export function wipeSaid({ stderr, status }: Said): void {
  stderr.fill(0);
  status.fill(0);
}

/**
 * Runs a program in a process group of its own, with nothing of this process's environment, and settles
 * when it and all of its group are gone. Never rejects, and no error that holds the child's output is ever made.
 */
export async function runCommand(command: Command): Promise<CommandEnd> {
  const { maxStdoutBytes, proves, signal } = command;
  if (signal.aborted) return { end: 'aborted' };
  const stdout = new Collector(maxStdoutBytes);
  const stderr = new Collector(MAX_SAID_BYTES);
  const status = new Collector(MAX_SAID_BYTES);
  let stopped: 'aborted' | 'too_large' | 'no_memory' | undefined;
  let stop = (): void => undefined;
  const giveUp = (why: 'too_large' | 'no_memory'): void => {
    stopped ??= why;
    stop();
  };
  const takeOutput = (piece: Buffer): void => {
    const taken = stdout.add(piece);
    if (taken === 'no_memory') giveUp('no_memory');
    if (taken === 'in_part' && maxStdoutBytes > 0) giveUp('too_large');
  };
  const takeSaid = (said: Collector) => (piece: Buffer) => {
    if (said.add(piece) === 'no_memory') giveUp('no_memory');
  };
  const takes = [takeOutput, takeSaid(stderr)] as const;
  const child = await startChild(command, proves === undefined ? takes : [...takes, takeSaid(status)]);
  if (typeof child === 'string') return { end: child };
  const { pid } = child;
  let isGone: boolean | undefined;
  // Once only: when the leader has been reaped and the group is gone, its id may become another group's.
  const kill = (): void => {
    isGone ??= !signalGroup(pid, 'SIGKILL');
  };
  let exitCode = null as number | null;
  await new Promise<void>((resolve) => {
    stop = resolve;
    const abort = (): void => {
      stopped ??= 'aborted';
      resolve();
    };
    // It may have been while the program was being started.
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
    // A program that ended may have left children behind, who hold its output open.
    const exit = child.exit.then((code) => {
      exitCode = code;
      kill();
    });
    void Promise.all([exit, child.written]).then(() => {
      signal.removeEventListener('abort', abort);
      resolve();
    });
  });
  kill();
  // A process that left the group may still hold the pipes: it is not waited for.
  child.close();
  if (stopped !== undefined) {
    // What nobody wants is not kept until the last process is gone.
    for (const collector of [stdout, stderr, status]) collector.wipe();
  }
  if (isGone !== true) await untilGone(pid);
  if (stopped !== undefined) return { end: stopped };

  const said: Said = { stderr: stderr.bytes(), status: status.bytes() };
  if (exitCode === 0) {
    const isProven = proves === undefined || (status.isWhole && proves(said.status));
    wipeSaid(said);
    if (isProven) return { end: 'succeeded', stdout: stdout.bytes() };
    stdout.wipe();
    return { end: 'unproven' };
  }
  stdout.wipe();
  if (exitCode !== null) return { end: 'failed', exitCode, ...said };
  wipeSaid(said);
  return { end: 'killed_by_signal' };
}

/** Waits until the kernel knows a killed process group no more. */
async function untilGone(pgid: number): Promise<void> {
  const giveUpAt = performance.now() + MAX_REAP_MS;
  let pause = 1;
  while (signalGroup(pgid, 0) && performance.now() < giveUpAt) {
    await sleep(pause);
    pause = Math.min(pause * 2, 50);
  }
}

/** Collects bytes up to a limit in one Buffer, and leaves no copy of them behind. */
class Collector {
  #buffer = allocateSecretBytes(0);
  #length = 0;
  #isWhole = true;
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Takes what fits, and says whether that was all of it. Never throws: the kernel's events have nobody to catch it. */
  add(piece: Buffer): 'whole' | 'in_part' | 'no_memory' {
    const taken = Math.min(piece.length, this.#limit - this.#length);
    try {
      this.#reserve(this.#length + taken);
    } catch {
      return 'no_memory';
    }
    copySecretBytes(piece.subarray(0, taken), this.#buffer, this.#length);
    this.#length += taken;
    this.#isWhole &&= taken === piece.length;
    return taken === piece.length ? 'whole' : 'in_part';
  }

  /** Whether all that was to be taken has fitted. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  wipe(): void {
    this.#buffer.fill(0);
  }

  #reserve(size: number): void {
    if (size <= this.#buffer.length) return;
    const larger = allocateSecretBytes(Math.min(Math.max(size, this.#buffer.length * 2, 4096), this.#limit));
    copySecretBytes(this.#buffer.subarray(0, this.#length), larger);
    this.#buffer.fill(0);
    this.#buffer = larger;
  }
}
