import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { constants } from 'node:os';
import type { Readable } from 'node:stream';
import { type Native, native, type Program } from '../os/native.js';
import { readWiped, type Take, wipedPipe, type WipedPipe } from './wiped_pipe.js';

/** What Node takes to start a program with three pipes, and two to spare. */
const DESCRIPTORS_TO_START = 10;

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
  /** Resolves when what it writes has ended, or is taken no more: when the program has ended, unless others write on. */
  readonly written: Promise<unknown>;
  /** From now on nothing that is written is taken. */
  close(): void;
}

/**
 * What takes what a program writes. With a third one it has a descriptor 3 for what it tells of its work: who else holds
 * that open when the program has ended is not waited for, but where Node has started it.
 */
export type Takes = readonly [stdout: Take, stderr: Take] | readonly [stdout: Take, stderr: Take, status: Take];

/**
 * Starts a program. `missing` is no such file; `cannot_start` not executable, no process or descriptor to be had, ….
 * `fork`, as Node starts programs, copies the map of all of this process's memory, and each page that is written
 * afterwards: it costs more than a small program runs. So the kernel's way without a copy is taken where there is one.
 */
export async function startChild(
  program: Program,
  takes: Takes,
  kernel: Native | null = native,
): Promise<Child | 'missing' | 'cannot_start'> {
  return kernel?.startsPrograms === true ? startDirectly(kernel, program, takes) : startByNode(program, takes);
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
  readonly outputs: readonly WipedPipe[];
  readonly status: WipedPipe | undefined;
  readonly tell: (exitCode: number | null) => void;
  looks: number;
}

const running = new Map<number, Running>();
let looking: NodeJS.Timeout | undefined;

function reap(kernel: Native): void {
  for (const [pid, { outputs, status, tell }] of running) {
    const exitCode = kernel.reap(pid);
    if (exitCode === undefined) continue;
    running.delete(pid);
    for (const output of outputs) {
      output.drain();
      output.listen(); // somebody else may still hold it open
    }
    status?.drain();
    status?.close();
    tell(exitCode);
  }
  if (running.size > 0) return;
  clearInterval(looking);
  looking = undefined;
}

function look(kernel: Native): void {
  reap(kernel);
  for (const program of running.values()) {
    program.status?.drain();
    if (program.looks > LOOKS) continue;
    program.looks += 1;
    if (program.looks === 1) continue; // it may just have begun
    for (const output of program.outputs) if (output.drain() || program.looks > LOOKS) output.listen();
  }
}

let listens = false;

function startDirectly(kernel: Native, program: Program, takes: Takes): Child | 'missing' | 'cannot_start' {
  const pipes = takes
    .map((_, at) => kernel.pipe(at === 0 ? OUTPUT_BYTES : undefined))
    .filter((pipe) => pipe !== undefined);
  const closeAll = (end: 'reading' | 'writing'): void => {
    for (const pipe of pipes) kernel.close(pipe[end]);
  };
  if (!listens) process.on('SIGCHLD', () => reap(kernel));
  listens = true;
  const writing = pipes.map((pipe) => pipe.writing);
  const started = writing.length === takes.length ? kernel.startProgram(program, writing) : 'EMFILE';
  closeAll('writing'); // else the output would never end
  if (typeof started === 'string') {
    closeAll('reading');
    return started === 'ENOENT' ? 'missing' : 'cannot_start';
  }
  // Also keeps the process alive meanwhile.
  looking ??= setInterval(() => look(kernel), LOOK_MS);
  const read = pipes.map(({ reading }, at) => wipedPipe(reading, takes[at] as Take, kernel));
  const [out, err, status] = read as [WipedPipe, WipedPipe, WipedPipe?];
  const exit = new Promise<number | null>((tell) =>
    running.set(started, { outputs: [out, err], status, tell, looks: 0 }),
  );
  return {
    pid: started,
    exit,
    written: Promise.all([out.ended, err.ended]),
    close() {
      for (const pipe of read) pipe.close();
    },
  };
}

// --- by Node

async function startByNode(program: Program, takes: Takes): Promise<Child | 'missing' | 'cannot_start'> {
  if (!areFree(DESCRIPTORS_TO_START)) return 'cannot_start';
  const { file, args, env, stdin } = program;
  let child: ChildProcess;
  try {
    const stdio = [stdin ?? ('ignore' as const), ...takes.map(() => 'pipe' as const)];
    // detached: setsid, so that the group can be killed as a whole.
    child = spawn(file, args, { cwd: '/', env, stdio, detached: true });
  } catch {
    return 'cannot_start'; // longer arguments than the kernel takes
  }
  const { pid } = child;
  if (pid === undefined) {
    const [error] = (await once(child, 'error')) as [NodeJS.ErrnoException];
    return error.code === 'ENOENT' ? 'missing' : 'cannot_start';
  }
  const exit = once(child, 'exit').then(([status]) => status as number | null);
  const read = takes.map((take, at) => readWiped(child.stdio[at + 1] as Readable, take));
  return {
    pid,
    exit,
    written: Promise.all(read.map(({ ended }) => ended)),
    close() {
      for (const output of read) output.close();
    },
  };
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
