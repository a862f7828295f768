import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, readdirSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ask } from './http_client.js';
import { nodeProgram } from './node.js';
import { type Ending, temporaryFolder, writeFile } from './temporary.js';
import { join } from 'node:path';

const ROOT = new URL('../..', import.meta.url);

/** What to run for `mxm-secretsd` as it is installed: what `npm run build` made of it. */
export const BUILT: readonly string[] = [process.execPath, fileURLToPath(new URL('dist/main.js', ROOT))];

// What is built of other sources would show nothing of these.
const builtAt = statSync(BUILT[1]!, { throwIfNoEntry: false })?.mtimeMs ?? 0;
for (const [folder, ending] of [
  ['src', '.ts'],
  ['bundle', '.js'],
] as const) {
  for (const name of readdirSync(new URL(folder, ROOT), { recursive: true, encoding: 'utf8' })) {
    if (name.endsWith(ending) && statSync(new URL(`${folder}/${name}`, ROOT)).mtimeMs > builtAt) {
      throw new Error(`what is built is older than ${folder}/${name}: npm run build`);
    }
  }
}

/** Gives a copy of the project what `npm run build` made of this one. */
export function copyBuilt(project: string): void {
  for (const folder of ['dist', 'man']) {
    cpSync(new URL(folder, ROOT), join(project, folder), { recursive: true });
  }
}

/** What to run for `mxm-secretsd`. */
export let PROGRAM = BUILT;

/**
 * Until the test ends it is run from its sources where coverage is measured, which takes five times as long to start: for
 * what is run in a process of its own alone.
 */
export function runFromSources(t: Ending): void {
  if (!process.env['NODE_V8_COVERAGE']) return;
  PROGRAM = nodeProgram(fileURLToPath(new URL('src/main.ts', ROOT)));
  t.teardown(() => (PROGRAM = BUILT));
}

export interface Finished {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Record<string, string>;
  readonly cwd?: string;
  /** What to run; default: PROGRAM. */
  readonly program?: readonly string[];
  /** A command that runs the program for us: `strace …`, `sh -c … sh`. */
  readonly under?: readonly string[];
  /** In a process group of its own: Ctrl-C on a terminal is not for it. */
  readonly detached?: boolean;
  /** Of Node, before the program. */
  readonly nodeArguments?: readonly string[];
  /** File descriptors in place of a pipe, or nowhere. */
  readonly stdout?: number | 'ignore';
  readonly stderr?: number | 'ignore';
  /** From the third file descriptor on. */
  readonly inherited?: readonly number[];
}

/** For `under`: the umask that the program starts with. */
export function withUmask(umask: string): string[] {
  return ['sh', '-c', `umask ${umask}; exec "$@"`, 'sh'];
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

/** Starts `mxm-secretsd ARGS`. */
export function startProgram(args: readonly string[], options: RunOptions = {}): ChildProcess {
  const {
    program: [node = '', ...program] = PROGRAM,
    env,
    cwd = fileURLToPath(ROOT),
    under = [],
    nodeArguments = [],
    stdout = 'pipe',
    stderr = 'pipe',
    detached = false,
    inherited = [],
  } = options;
  const [file, ...rest] = [...under, node, ...nodeArguments, ...program, ...args];
  return spawn(file!, rest, {
    stdio: ['ignore', stdout, stderr, ...inherited],
    cwd,
    detached,
    env: { ...process.env, ...env },
  });
}

export interface RunningDaemon extends Configured {
  readonly child: ChildProcess;
  /** All that it has written so far. */
  stdout(): string;
  stderr(): string;
  /** The lines of its log, parsed. */
  log(): Record<string, unknown>[];
  audit(): Record<string, unknown>[];
  /** Sends a signal and waits for the end. */
  stop(signal?: NodeJS.Signals): Promise<{ status: number | null; signal: NodeJS.Signals | null }>;
}

export interface ConfigurationOptions {
  /** The secrets file, as YAML. */
  readonly secrets: string;
  readonly role?: string;
  /** Keys of `socket` beside or in place of its path, as a flow mapping without the braces. */
  readonly socket?: string;
  /** Further sections of the launch file, as YAML. */
  readonly launch?: string;
}

export interface Configured {
  readonly folder: string;
  readonly launchFile: string;
  /** The socket's path, unless `socket` names another. */
  readonly socket: string;
}

export interface DaemonOptions extends ConfigurationOptions, RunOptions {}

/** Writes both files into a folder of their own. */
export function writeConfiguration(t: Ending, options: ConfigurationOptions): Configured {
  const { secrets, role = 'marketdata', socket = '', launch = '' } = options;
  const folder = temporaryFolder(t);
  writeFile(folder, 'secrets.yaml', secrets);
  const launchFile = writeFile(
    folder,
    'launch.yaml',
    `identity: { machine: bridge, environment: dev, role: ${role} }
secrets: secrets.yaml
socket: { ${/\bpath:/.test(socket) ? '' : 'path: s.sock, '}${socket} }
${launch}`,
  );
  return { folder, launchFile, socket: join(folder, 's.sock') };
}

/** Starts the real daemon in a folder of its own and waits until it answers. */
export function startDaemonProcess(t: Ending, options: DaemonOptions): Promise<RunningDaemon> {
  return serveProcess(t, writeConfiguration(t, options), options);
}

/** Waits until a daemon answers at a socket; may be ended by a `check` that throws. */
export async function untilAnswers(socket: string, check: () => void = () => undefined): Promise<void> {
  for (;;) {
    check();
    try {
      if ((await ask(socket, '/healthz')).status === 200) return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** The same with files that are there. */
export async function serveProcess(
  t: Ending,
  configured: Configured,
  options: RunOptions = {},
): Promise<RunningDaemon> {
  const { socket, launchFile } = configured;
  const child = startProgram(['serve', '--launch', launchFile], options);
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString('latin1')));
  child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString('latin1')));
  const ended = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
  t.teardown(async () => {
    if (hasEnded()) return;
    child.kill('SIGTERM');
    await ended;
  });
  await untilAnswers(socket, () => {
    if (hasEnded()) throw new Error(`the daemon has ended: ${stderr}`);
  });
  const log = (): Record<string, unknown>[] =>
    stdout
      .split('\n')
      .slice(0, -1) // what is not a whole line yet
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  return {
    child,
    ...configured,
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
