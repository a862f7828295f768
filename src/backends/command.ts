import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';

/** How much of a program's stderr is read, to tell its failures apart; the rest is thrown away. */
const MAX_STDERR_BYTES = 65_536;

/** How long a killed process group may take to be gone before it is given up: a zombie whose parent does not reap it. */
const MAX_REAP_MS = 2_000;

export interface Command {
  /** Absolute. */
  readonly file: string;
  readonly args: readonly string[];
  /** The whole environment of the child. */
  readonly env: Readonly<Record<string, string>>;
  /** Above it the process group is killed; 0 throws the output away. */
  readonly maxStdoutBytes: number;
  /** Kills the process group. */
  readonly signal: AbortSignal;
}

export type CommandEnd =
  /** Both Buffers are the receiver's, to be filled with zeros: a failed decryption prints plaintext on stderr. */
  | { readonly end: 'exited'; readonly exitCode: number; readonly stdout: Buffer; readonly stderr: Buffer }
  | { readonly end: 'killed_by_signal' }
  | { readonly end: 'too_large' }
  | { readonly end: 'aborted' }
  /** No such file. */
  | { readonly end: 'missing' }
  /** Not executable, no process to be had, … */
  | { readonly end: 'cannot_start' };

/**
 * Runs a program in a process group of its own, with no input and nothing of this process's environment, and settles
 * when it and all of its group are gone. Never rejects: what the library would throw holds the child's output.
 */
export async function runCommand({ file, args, env, maxStdoutBytes, signal }: Command): Promise<CommandEnd> {
  if (signal.aborted) return { end: 'aborted' };
  const stdout = new Collector(maxStdoutBytes);
  const stderr = new Collector(MAX_STDERR_BYTES);
  const child = execa(file, args, {
    cwd: '/',
    env,
    extendEnv: false,
    stdin: 'ignore',
    encoding: 'buffer',
    buffer: false,
    stripFinalNewline: false,
    reject: false,
    detached: true, // setsid: the group can be killed as a whole
  });

  let killed: Promise<void> | undefined;
  const kill = (): void => {
    const { pid } = child;
    if (pid === undefined || killed !== undefined) return;
    killed = killGroup(pid).then(() => {
      // A process that left the group may still hold the pipes: do not wait for it.
      child.stdout.destroy();
      child.stderr.destroy();
    });
  };
  let tooLarge = false;
  child.stdout.on('data', (chunk: Buffer) => {
    if (stdout.add(chunk) || maxStdoutBytes === 0) return;
    tooLarge = true;
    kill();
  });
  child.stderr.on('data', (chunk: Buffer) => void stderr.add(chunk));
  signal.addEventListener('abort', kill, { once: true });

  const result = await child;
  signal.removeEventListener('abort', kill);
  // A program that ended may have left children behind.
  if (child.pid !== undefined) await (killed ?? killGroup(child.pid));

  const outcome = endOf(result, tooLarge, signal.aborted);
  if (outcome !== 'exited') {
    stdout.wipe();
    stderr.wipe();
    return { end: outcome };
  }
  return { end: 'exited', exitCode: result.exitCode ?? -1, stdout: stdout.bytes(), stderr: stderr.bytes() };
}

function endOf(
  result: {
    readonly exitCode?: number | undefined;
    readonly signal?: string | undefined;
    readonly code?: string | undefined;
  },
  tooLarge: boolean,
  aborted: boolean,
): CommandEnd['end'] {
  if (tooLarge) return 'too_large';
  if (aborted) return 'aborted';
  if (result.signal !== undefined) return 'killed_by_signal';
  if (result.exitCode !== undefined) return 'exited';
  return result.code === 'ENOENT' ? 'missing' : 'cannot_start';
}

/** Kills a process group and waits until the kernel knows it no more. */
async function killGroup(pgid: number): Promise<void> {
  const giveUpAt = performance.now() + MAX_REAP_MS;
  let pause = 1;
  for (;;) {
    try {
      process.kill(-pgid, 'SIGKILL');
    } catch {
      return; // ESRCH: nobody is left. EPERM cannot be helped.
    }
    if (performance.now() > giveUpAt) return;
    await sleep(pause);
    pause = Math.min(pause * 2, 50);
  }
}

/** Collects bytes up to a limit in one Buffer, and leaves no copy of them behind. */
class Collector {
  #buffer = Buffer.alloc(0);
  #length = 0;
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Takes what fits, fills the chunk with zeros, and says whether all of it fitted. */
  add(chunk: Buffer): boolean {
    const taken = Math.min(chunk.length, this.#limit - this.#length);
    this.#reserve(this.#length + taken);
    chunk.copy(this.#buffer, this.#length, 0, taken);
    this.#length += taken;
    const fitted = taken === chunk.length;
    chunk.fill(0);
    return fitted;
  }

  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  wipe(): void {
    this.#buffer.fill(0);
    this.#length = 0;
  }

  #reserve(size: number): void {
    if (size <= this.#buffer.length) return;
    const larger = Buffer.alloc(Math.min(Math.max(size, this.#buffer.length * 2, 4096), this.#limit));
    this.#buffer.copy(larger);
    this.#buffer.fill(0);
    this.#buffer = larger;
  }
}
