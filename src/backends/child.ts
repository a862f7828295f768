import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { constants } from 'node:os';
import type { Readable } from 'node:stream';
import { type Native, native, type Program } from '../os/native.js';
import { readWiped, type Take, wipedPipe, type WipedPipe } from './wiped_pipe.js';

/** What Node takes to start a program with two pipes, and two to spare. */
const DESCRIPTORS_TO_START = 8;

/** How often a program that runs is looked at: for an end that no signal has told of, and for a first output. */
const LOOK_MS = 50;

/** How often it is looked for before it is listened to. Most programs have ended before the first time. */
const LOOKS = 3;

/**
 * What a program can print before somebody reads it. Most values are smaller. A user may have some 64 MiB of it, and gets
 * pipes that hold next to nothing beyond that: enough for hundreds of programs at once.
 */
const OUTPUT_BYTES = 262_144;

/** A program that runs, in a process group of its own. */
export interface Child {
  /** Of the process and of its group. */
  readonly pid: number;
  /** The exit status once it has ended and is reaped; null when a signal has ended it. */
  readonly exit: Promise<number | null>;
  /** stdout and stderr. When the program has ended what it has printed has been taken. */
  readonly outputs: readonly [Output, Output];
}

export type Output = Pick<WipedPipe, 'ended' | 'close'>;

/**
 * Starts a program. `missing` is no such file; `cannot_start` not executable, no process or descriptor to be had, ….
 * `fork`, as Node starts programs, copies the map of all of this process's memory, and each page that is written
 * afterwards: it costs more than a small program runs. So the kernel's way without a copy is taken where there is one.
 */
export async function startChild(
  program: Program,
  stdout: Take,
  stderr: Take,
  kernel: Native | null = native,
): Promise<Child | 'missing' | 'cannot_start'> {
  return kernel?.startsPrograms === true
    ? startDirectly(kernel, program, stdout, stderr)
    : startByNode(program, stdout, stderr);
}

/** To all of a process group; 0 only looks. False when there is nobody that can get it. */
export function signalGroup(pgid: number, signal: 'SIGKILL' | 0, kernel: Native | null = native): boolean {
  // Node throws where nobody is left, as is the case whenever a program has ended well.
  if (kernel !== null) return kernel.signalGroup(pgid, signal === 0 ? 0 : constants.signals[signal]);
  try {
    return process.kill(-pgid, signal);
  } catch {
    return false;
  }
}

// --- by posix_spawn

interface Running {
  readonly pipes: readonly WipedPipe[];
  readonly tell: (status: number | null) => void;
  looks: number;
}

const running = new Map<number, Running>();
let looking: NodeJS.Timeout | undefined;

function reap(kernel: Native): void {
  for (const [pid, { pipes, tell }] of running) {
    const status = kernel.reap(pid);
    if (status === undefined) continue;
    running.delete(pid);
    for (const pipe of pipes) {
      pipe.drain();
      pipe.listen(); // somebody else may still hold it open
    }
    tell(status);
  }
  if (running.size > 0) return;
  clearInterval(looking);
  looking = undefined;
}

function look(kernel: Native): void {
  reap(kernel);
  for (const program of running.values()) {
    if (program.looks > LOOKS) continue;
    program.looks += 1;
    if (program.looks === 1) continue; // it may just have begun
    for (const pipe of program.pipes) if (pipe.drain() || program.looks > LOOKS) pipe.listen();
  }
}

let listens = false;

function startDirectly(
  kernel: Native,
  program: Program,
  stdout: Take,
  stderr: Take,
): Child | 'missing' | 'cannot_start' {
  const closeAll = (...descriptors: readonly number[]): void => {
    for (const descriptor of descriptors) kernel.close(descriptor);
  };
  const [out, err] = [kernel.pipe(OUTPUT_BYTES), kernel.pipe()];
  if (out === undefined || err === undefined) {
    for (const pipe of [out, err]) if (pipe !== undefined) closeAll(pipe.reading, pipe.writing);
    return 'cannot_start';
  }
  if (!listens) process.on('SIGCHLD', () => reap(kernel));
  listens = true;
  const started = kernel.startProgram(program, out.writing, err.writing);
  closeAll(out.writing, err.writing); // else the output would never end
  if (typeof started === 'string') {
    closeAll(out.reading, err.reading);
    return started === 'ENOENT' ? 'missing' : 'cannot_start';
  }
  // Also keeps the process alive meanwhile.
  looking ??= setInterval(() => look(kernel), LOOK_MS);
  const outputs = [wipedPipe(out.reading, stdout, kernel), wipedPipe(err.reading, stderr, kernel)] as const;
  const exit = new Promise<number | null>((tell) => running.set(started, { pipes: outputs, tell, looks: 0 }));
  return { pid: started, exit, outputs };
}

// --- by Node

async function startByNode(program: Program, stdout: Take, stderr: Take): Promise<Child | 'missing' | 'cannot_start'> {
  if (!areFree(DESCRIPTORS_TO_START)) return 'cannot_start';
  const { file, args, env, stdin } = program;
  let child: ChildProcessByStdio<null, Readable, Readable>;
  try {
    const stdio = [stdin ?? 'ignore', 'pipe', 'pipe'] as const;
    // detached: setsid, so that the group can be killed as a whole.
    child = spawn(file, args, { cwd: '/', env, stdio: [...stdio], detached: true }) as typeof child;
  } catch {
    return 'cannot_start'; // longer arguments than the kernel takes
  }
  const { pid } = child;
  if (pid === undefined) {
    const [error] = (await once(child, 'error')) as [NodeJS.ErrnoException];
    return error.code === 'ENOENT' ? 'missing' : 'cannot_start';
  }
  const exit = once(child, 'exit').then(([status]) => status as number | null);
  return { pid, outputs: [readWiped(child.stdout, stdout), readWiped(child.stderr, stderr)], exit };
}

/** Node does not give back what it has opened when descriptors run out in the middle of a start. */
function areFree(count: number): boolean {
  const taken: number[] = [];
  try {
    while (taken.length < count) taken.push(openSync('/dev/null', 'r'));
    return true;
  } catch {
    return false;
  } finally {
    for (const descriptor of taken) closeSync(descriptor);
  }
}
