import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { ask } from './http_client.js';
import { type Ending, temporaryFolder, writeFile } from './temporary.js';
import { join } from 'node:path';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

/** What to run for `mxm-secretsd`: the program from its sources, as the tests cover it. */
export const PROGRAM: readonly string[] = [process.execPath, '--import=tsx', MAIN];

export interface Finished {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Record<string, string>;
  readonly cwd?: string;
  readonly input?: string;
}

/** Runs `mxm-secretsd ARGS` to its end. */
export async function runProgram(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const child = startProgram(args, options);
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk));
  const [status, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return { status, signal, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString('utf8') };
}

function startProgram(args: readonly string[], { env, cwd }: RunOptions): ChildProcess {
  const [file, ...rest] = PROGRAM;
  return spawn(file!, [...rest, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: cwd ?? fileURLToPath(new URL('../..', import.meta.url)),
    env: { ...process.env, ...env },
  });
}

export interface RunningDaemon {
  readonly child: ChildProcess;
  readonly socket: string;
  readonly folder: string;
  readonly launchFile: string;
  /** All that it has written so far. */
  stdout(): string;
  stderr(): string;
  /** The lines of its log, parsed. */
  log(): Record<string, unknown>[];
  audit(): Record<string, unknown>[];
  /** Sends a signal and waits for the end. */
  stop(signal?: NodeJS.Signals): Promise<{ status: number | null; signal: NodeJS.Signals | null }>;
}

export interface DaemonOptions {
  /** The secrets file, as YAML. */
  readonly secrets: string;
  readonly role?: string;
  /** Further sections of the launch file, as YAML. */
  readonly launch?: string;
  readonly env?: Record<string, string>;
}

/** Starts the real daemon in a folder of its own and waits until it answers. */
export async function startDaemonProcess(t: Ending, options: DaemonOptions): Promise<RunningDaemon> {
  const { secrets, role = 'marketdata', launch = '', env = {} } = options;
  const folder = temporaryFolder(t);
  const socket = join(folder, 's.sock');
  writeFile(folder, 'secrets.yaml', secrets);
  const launchFile = writeFile(
    folder,
    'launch.yaml',
    `identity:\n  machine: bridge\n  environment: dev\n  role: ${role}\nsecrets: secrets.yaml\nsocket:\n  path: s.sock\n${launch}`,
  );
  const child = startProgram(['serve', '--launch', launchFile], { env });
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString('latin1')));
  child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString('latin1')));
  const ended = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  t.teardown(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGTERM');
    await ended;
  });
  for (;;) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`the daemon has ended: ${stderr}`);
    try {
      if ((await ask(socket, '/healthz')).status === 200) break;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  const log = (): Record<string, unknown>[] =>
    stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  return {
    child,
    socket,
    folder,
    launchFile,
    stdout: () => stdout,
    stderr: () => stderr,
    log,
    audit: () => log().filter(({ event }) => event === 'secret_access'),
    async stop(signal = 'SIGTERM') {
      child.kill(signal);
      const [status, by] = await ended;
      return { status, signal: by };
    },
  };
}
