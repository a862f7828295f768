// Takes the orders of load.c, which says what they are, where no C compiler is.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuMs } from './process_cost.js';

const RETRY_MS = 1;

const received = Buffer.alloc(1 << 18);
/** In this order. */
let refused = 0;
const servers = new Map<number, ChildProcess>();

function nowNs(): number {
  return Number(process.hrtime.bigint());
}

function text(hex: string): string {
  return Buffer.from(hex, 'hex').toString('latin1');
}

function words(hex: string): [string, ...string[]] {
  const [file = '', ...args] = Buffer.from(hex, 'hex').toString().split('\0').slice(0, -1);
  return [file, ...args];
}

/** Takes the bytes of one answer as they come, and tells whether it is whole, and then whether it was one of 503. */
function answerReader(status: number): (bytes: Buffer) => 'more' | 'answered' | 'refused' {
  let end: 'answered' | 'refused' = 'answered';
  let head = '';
  let left: number | undefined;
  return (bytes) => {
    if (left === undefined) {
      head += bytes.toString('latin1');
      const headEnd = head.indexOf('\r\n\r\n');
      if (headEnd === -1) return 'more';
      const got = head.split(' ', 2)[1];
      if (Number(got) === 503 && status !== 503) end = 'refused';
      else if (Number(got) !== status) throw new Error(`status ${got ?? ''} in place of ${status}`);
      const length = /\ncontent-length: *(\d+)/i.exec(head)?.[1];
      if (length === undefined) throw new Error('an answer without Content-Length');
      left = Number(length) - (head.length - headEnd - 4);
      head = '';
    } else left -= bytes.length;
    if (left < 0) throw new Error('an answer is longer than it says');
    return left === 0 ? end : 'more';
  };
}

/** One caller, until the time is up. */
function asking(
  path: string,
  request: Buffer,
  { fresh, until, status, latencies }: { fresh: boolean; until: number; status: number; latencies: number[] },
): Promise<void> {
  return new Promise((resolve, reject) => {
    let begun = 0;
    let read = answerReader(status);
    const open = (): Socket => {
      const socket = connect({
        path,
        onread: {
          buffer: received,
          callback(length) {
            try {
              const come = read(received.subarray(0, length));
              if (come !== 'more') answered(socket, come === 'refused');
            } catch (error) {
              reject(error instanceof Error ? error : new Error(String(error)));
            }
            return true;
          },
        },
      });
      socket.on('error', reject);
      socket.on('end', () => {
        if (!socket.destroyed) reject(new Error('the connection was closed before the answer'));
      });
      return socket;
    };
    const ask = (socket?: Socket): void => {
      begun = nowNs();
      read = answerReader(status);
      (socket ?? open()).write(request);
    };
    const answered = (socket: Socket, isRefusal: boolean): void => {
      const now = nowNs();
      if (isRefusal) refused += 1;
      else latencies.push(now - begun);
      if (fresh || now >= until) socket.destroy();
      if (now >= until) resolve();
      else ask(fresh ? undefined : socket);
    };
    ask();
  });
}

async function starting([file, ...args]: [string, ...string[]], until: number, latencies: number[]): Promise<void> {
  do {
    const begun = nowNs();
    const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    child.stdout.resume();
    const [status] = (await once(child, 'close')) as [number | null];
    if (status !== 0) throw new Error(`a command has ended with status ${String(status)}`);
    latencies.push(nowNs() - begun);
  } while (nowNs() < until);
}

async function many(
  milliseconds: string,
  act: (until: number, latencies: number[]) => Promise<void>[],
): Promise<string> {
  const latencies: number[] = [];
  refused = 0;
  const begun = nowNs();
  const cpu = cpuMs(process.pid);
  await Promise.all(act(begun + Number(milliseconds) * 1e6, latencies));
  return ['ok', nowNs() - begun, (cpuMs(process.pid) - cpu) * 1_000, refused, ...latencies].join(' ');
}

function each<T>(count: string, given: readonly string[], act: (hex: string) => T): T[] {
  return Array.from({ length: Number(count) }, (_, index) => act(given[index % given.length] as string));
}

async function first(path: string, request: string, status: number, timeoutMs: number, output: string, hex: string) {
  const file = openSync(output, 'a', 0o600);
  const [program, ...args] = words(hex);
  const begun = nowNs();
  const child = spawn(program, args, { stdio: ['ignore', file, file] });
  closeSync(file);
  const pid = child.pid ?? 0;
  servers.set(pid, child);
  const latencies: number[] = [];
  while (nowNs() - begun < timeoutMs * 1e6) {
    try {
      await asking(path, Buffer.from(request, 'latin1'), { fresh: true, until: 0, status, latencies });
      if (latencies.length === 0) throw new Error('the first answer is 503');
      return `ok ${nowNs() - begun} ${pid}`;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === undefined) throw error;
      if (child.exitCode !== null) throw new Error(`the server has ended: see ${output}`, { cause: error });
      await sleep(RETRY_MS);
    }
  }
  await end(pid, 'SIGKILL');
  return 'late';
}

async function end(pid: number, signal: NodeJS.Signals): Promise<string> {
  const child = servers.get(pid);
  if (child !== undefined) {
    const closed = once(child, 'close');
    child.kill(signal);
    await closed;
    servers.delete(pid);
  }
  return 'ok';
}

async function obey(order: string, given: readonly string[]): Promise<string> {
  const [a = '', b = '', c = '', d = '', e = '', f = ''] = given;
  switch (order) {
    case 'load':
      return many(d, (until, latencies) => {
        const options = { fresh: c === '1', until, status: Number(e), latencies };
        return each(b, given.slice(5), (hex) => asking(text(a), Buffer.from(hex, 'hex'), options));
      });
    case 'start':
      return many(b, (until, latencies) => each(a, given.slice(2), (hex) => starting(words(hex), until, latencies)));
    case 'first':
      return first(text(a), text(b), Number(c), Number(d), text(e), f);
    case 'end':
      return end(Number(a), 'SIGTERM');
    default:
      throw new Error('no such order');
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const [order = '', ...given] = line.split(' ');
  try {
    console.log(await obey(order, given));
  } catch (error) {
    console.log(`error ${error instanceof Error ? error.message : String(error)}`);
    if (order === 'load' || order === 'start') process.exit(1); // what is under way would spoil what comes next
  }
}
