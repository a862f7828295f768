import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Answer, ask } from '../test/support/http_client.js';
import { BUILT, type ConfigurationOptions, serveProcess, writeConfiguration } from '../test/support/process.js';
import { type Ending, temporaryFolder, writeFile } from '../test/support/temporary.js';
import { until } from '../test/support/until.js';

/** A server that is measured. */
export interface Served {
  readonly socket: string;
  readonly pid: number;
}

export interface ServedDaemon extends Served {
  /** The daemon's stdout: its log and its audit records. */
  readonly logFile: string;
  stop(): Promise<void>;
}

export interface DaemonOptions extends ConfigurationOptions {
  readonly env?: Record<string, string>;
  /** The Node that runs it; default: this one. */
  readonly node?: string;
}

/** What to run for the daemon as it is built, with this Node or another. */
export function daemonCommand(node = process.execPath): string[] {
  return [node, ...BUILT.slice(1)];
}

/** The daemon as it is built, with its stdout in a file. */
export async function serveDaemon(t: Ending, options: DaemonOptions): Promise<ServedDaemon> {
  const configured = writeConfiguration(t, options);
  const logFile = join(configured.folder, 'log.jsonl');
  const stdout = openSync(logFile, 'a', 0o600);
  const { env = {}, node } = options;
  const daemon = await serveProcess(t, configured, { program: daemonCommand(node), env, stdout });
  closeSync(stdout);
  return {
    socket: configured.socket,
    pid: daemon.child.pid ?? 0,
    logFile,
    async stop() {
      await daemon.stop();
    },
  };
}

/** How many audit records a daemon has written. */
export function auditRecords({ logFile }: ServedDaemon): number {
  return readFileSync(logFile, 'latin1').split('"event":"secret_access"').length - 1;
}

export type BareServer = 'bare_http.js' | 'bare_fastify.js' | 'bare_files.js';

/** What to run for a bare server. */
export function bareCommand(server: BareServer, socket: string, operand: string): string[] {
  return [process.execPath, fileURLToPath(new URL(server, import.meta.url)), socket, operand];
}

/** One of the bare servers, with its socket in a folder of its own. */
export async function serveBare(t: Ending, server: BareServer, operand: string): Promise<Served> {
  const socket = join(temporaryFolder(t), 's.sock');
  const [file = '', ...args] = bareCommand(server, socket, operand);
  const child = spawn(file, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = once(child, 'close');
  t.teardown(async () => {
    child.kill('SIGTERM');
    await ended;
  });
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`${server} has ended`);
    return accepts(socket);
  });
  return { socket, pid: child.pid ?? 0 };
}

/** Made by the HTTP server itself, whoever uses it. */
const OF_THE_CONNECTION = new Set(['date', 'connection', 'keep-alive']);

async function accepts(path: string): Promise<boolean> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** Writes down what a daemon answers, for the bare servers, and gives the file. */
export async function recordAnswers(t: Ending, { socket }: Served, targets: readonly string[]): Promise<string> {
  const answers = [];
  for (const target of targets) {
    const { status, headers, text } = await ask(socket, target);
    const own = Object.entries(headers).filter(([name]) => !OF_THE_CONNECTION.has(name));
    answers.push({ target, status, headers: Object.fromEntries(own), body: text });
  }
  return writeFile(temporaryFolder(t), 'answers.json', JSON.stringify(answers));
}

/** Throws unless a server's answer is another's, but for what is of its own time and number. */
export async function mustAnswerAlike(served: Served, daemon: Served, target: string): Promise<void> {
  const [one, other] = [comparable(await ask(served.socket, target)), comparable(await ask(daemon.socket, target))];
  if (one !== other) throw new Error(`the answers differ:\n${one}\n${other}`);
}

function comparable({ status, headers, text }: Answer): string {
  const id = String(headers['x-request-id']);
  const kept = Object.entries(headers)
    .filter(([name]) => name !== 'date')
    .sort();
  return JSON.stringify({ status, kept, text }).replaceAll(id, 'ID');
}
