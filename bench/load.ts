import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { nodeProgram } from '../test/support/node.js';
import { onPath } from '../test/support/real_component.js';
import { type Ending, temporaryFolder } from '../test/support/temporary.js';

/** What came of a while of asking, or of starting commands. */
export interface Sample {
  readonly wallMs: number;
  /** Of the callers' own process and of the commands that it has started. */
  readonly cpuMs: number;
  /** In ms, ascending. */
  readonly latencies: Float64Array;
}

export interface LoadOptions {
  readonly socket: string;
  readonly callers?: number;
  /** A connection for each request. */
  readonly fresh?: boolean;
  /** 0: once for each caller. */
  readonly ms: number;
  /** Every answer must have it; default: 200. */
  readonly status?: number;
  /** The callers take them in turn, and each asks its own one again and again. */
  readonly requests: readonly string[];
}

export interface StartOptions {
  readonly callers?: number;
  readonly ms: number;
  readonly commands: readonly (readonly string[])[];
}

export interface FirstOptions {
  readonly socket: string;
  readonly request: string;
  readonly status?: number;
  readonly timeoutMs: number;
  /** The file that the server's output goes to. */
  readonly output: string;
  readonly command: readonly string[];
}

/** The callers, in a process of their own that lives as long as the bench: they alone use its processor time. */
export interface Callers {
  load(options: LoadOptions): Promise<Sample>;
  start(options: StartOptions): Promise<Sample>;
  /** Starts a server and asks until it answers. */
  first(options: FirstOptions): Promise<{ readonly ms: number; readonly pid: number } | 'late'>;
  /** Ends a server that `first` has started. */
  end(pid: number): Promise<void>;
}

/**
 * Of all callers so far. An answer by 503 is in no figure: on a machine that is busy elsewhere an audit record may take
 * longer than the second that it is given.
 */
export const answers = { measured: 0, refused: 0 };

/** A request as it stands on the wire. */
export function requestFor(path: string, headers: Readonly<Record<string, string>> = {}): string {
  const lines = [`GET ${path} HTTP/1.1`, 'Host: localhost', ...Object.entries(headers).map((pair) => pair.join(': '))];
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** How commands are started, for the reader of a table. */
export function startedHow(): string {
  return onPath('cc') === undefined ? "Node's `spawn`, as there is no `cc`" : '`posix_spawn` of a C program';
}

/** How often a server that is started is asked until it answers. */
export function askedHowOften(): string {
  return onPath('cc') === undefined ? 'every ms, as there is no `cc`,' : 'every 0.2 ms';
}

/** load.c where there is a compiler; load_in_node.ts takes the same orders and is slower. */
function callersProgram(t: Ending): string[] {
  const compiler = onPath('cc');
  const source = fileURLToPath(new URL('load.c', import.meta.url));
  if (compiler === undefined) return nodeProgram(fileURLToPath(new URL('load_in_node.ts', import.meta.url)));
  const program = join(temporaryFolder(t), 'load');
  execFileSync(compiler, ['-O2', '-o', program, source], { stdio: ['ignore', 'inherit', 'inherit'] });
  return [program];
}

/** `environment` is that of the commands and servers, and is all of it. */
export function startCallers(
  t: Ending,
  environment: Readonly<Record<string, string | undefined>> = process.env,
  program: readonly string[] = callersProgram(t),
): Callers {
  const [file = '', ...args] = program;
  const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'], env: environment });
  const ended = once(child, 'close');
  t.teardown(async () => {
    child.stdin.end();
    await ended;
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();

  async function order(...words: readonly (string | number)[]): Promise<string[]> {
    child.stdin.write(`${words.join(' ')}\n`);
    const next = await lines.next();
    const line = next.done === true ? 'error the callers have ended' : next.value;
    if (line.startsWith('error ')) throw new Error(`${words[0] ?? ''}: ${line.slice('error '.length)}`);
    return line.split(' ');
  }

  async function sample(...words: readonly (string | number)[]): Promise<Sample> {
    const [, wallNs, cpuUs, refused, ...latencies] = await order(...words);
    answers.refused += Number(refused);
    answers.measured += latencies.length;
    return {
      wallMs: Number(wallNs) / 1e6,
      cpuMs: Number(cpuUs) / 1e3,
      latencies: Float64Array.from(latencies, (ns) => Number(ns) / 1e6).sort(),
    };
  }

  return {
    load: ({ socket, callers = 1, fresh = false, ms, status = 200, requests }) =>
      sample('load', hex(socket), callers, fresh ? 1 : 0, ms, status, ...requests.map(hex)),
    start: ({ callers = 1, ms, commands }) => sample('start', callers, ms, ...commands.map(commandHex)),
    async first({ socket, request, status = 200, timeoutMs, output, command }) {
      const words = await order(
        'first',
        hex(socket),
        hex(request),
        status,
        timeoutMs,
        hex(output),
        commandHex(command),
      );
      return words[0] === 'late' ? 'late' : { ms: Number(words[1]) / 1e6, pid: Number(words[2]) };
    },
    async end(pid) {
      await order('end', pid);
    },
  };
}

function hex(text: string): string {
  return Buffer.from(text).toString('hex');
}

function commandHex(command: readonly string[]): string {
  return hex(command.map((argument) => `${argument}\0`).join(''));
}
