import { setTimeout as sleep } from 'node:timers/promises';
import { describeError, isRetryable } from '../domain/errors.js';
import { isIdentifier } from '../domain/identifier.js';
import { type OptionValues, UsageError } from './arguments.js';
import { type Answer, ask, problemCode, socketPath } from './ask.js';
import { EXIT, EXIT_OF_CODE } from './exit_status.js';
import type { Io } from './io.js';

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;

export async function get(io: Io, options: OptionValues, [name = '']: readonly string[]): Promise<number> {
  const socket = socketPath(io, options);
  const waitMs = waitMilliseconds(options['wait']);
  if (!isIdentifier(name)) return refuse(io, 'invalid_secret_name');

  const answer = await askUntil(performance.now() + waitMs, () =>
    ask(socket, `/secrets/${name}`, 'application/octet-stream'),
  );
  const code = problemCode(answer);
  if (code !== null) return refuse(io, code);
  if (answer.kind === 'no_daemon') {
    await io.stderr.write(`mxm-secretsd get: no daemon answers at ${socket} (${answer.why})\n`);
    return EXIT.unavailable;
  }
  if (answer.kind === 'stranger' || answer.status !== 200 || answer.type !== 'application/octet-stream') {
    await io.stderr.write(`mxm-secretsd get: what answers at ${socket} is no mxm-secretsd, or it broke off\n`);
    return EXIT.unavailable;
  }
  await io.stdout.write(answer.body);
  answer.body.fill(0);
  if (io.stdout.isTTY) await io.stdout.write('\n');
  return EXIT.ok;
}

async function refuse(io: Io, code: keyof typeof EXIT_OF_CODE): Promise<number> {
  await io.stderr.write(`mxm-secretsd get: ${code}: ${describeError(code).text}\n`);
  return EXIT_OF_CODE[code];
}

function waitMilliseconds(value: string | boolean | undefined): number {
  if (value === undefined) return 0;
  if (typeof value === 'string' && /^(?:\d+(?:\.\d*)?|\.\d+)$/.test(value)) return Number(value) * 1_000;
  throw new UsageError('--wait SECONDS must be a number, as 10 or 0.5');
}

/** Tries again, with growing pauses, while there is no daemon or its answer may change by itself. */
async function askUntil(deadline: number, once: () => Promise<Answer>): Promise<Answer> {
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    const answer = await once();
    const code = problemCode(answer);
    const mayChange = answer.kind === 'no_daemon' || (code !== null && isRetryable(code));
    const left = deadline - performance.now();
    if (!mayChange || left <= 0) return answer;
    await sleep(Math.min(pause, left));
  }
}
