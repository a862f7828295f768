import { setTimeout as sleep } from 'node:timers/promises';
import { isErrorCode } from '../domain/errors.js';
import { isIdentifier } from '../domain/identifier.js';
import { type OptionValues, UsageError } from './arguments.js';
import { type Answer, ask, describeCode, describeRefusal, problemOf, socketPath } from './ask.js';
import { EXIT, EXIT_OF_CODE } from './exit_status.js';
import type { Io } from './io.js';

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;

export async function get(io: Io, options: OptionValues, name: string): Promise<number> {
  const socket = socketPath(io, options);
  const waitMs = waitMilliseconds(options['wait']);
  if (!isIdentifier(name)) return refuse(io, describeCode('invalid_secret_name'), EXIT_OF_CODE.invalid_secret_name);

  const answer = await askUntil(performance.now() + waitMs, () =>
    ask(socket, `/secrets/${name}`, 'application/octet-stream'),
  );
  if (answer.kind !== 'answer' || answer.status !== 200 || answer.type !== 'application/octet-stream') {
    return refuse(io, describeRefusal(answer, socket), statusOf(answer));
  }
  await io.stdout.write(answer.body);
  answer.body.fill(0);
  if (io.stdout.isTTY) await io.stdout.write('\n');
  return EXIT.ok;
}

async function refuse(io: Io, why: string, status: number): Promise<number> {
  await io.stderr.write(`mxm-secretsd get: ${why}\n`);
  return status;
}

function statusOf(answer: Answer): number {
  const problem = problemOf(answer);
  if (problem === null) return EXIT.unavailable;
  return isErrorCode(problem.code) ? EXIT_OF_CODE[problem.code] : EXIT.defect;
}

function waitMilliseconds(value: string | boolean | undefined): number {
  if (value === undefined) return 0;
  if (typeof value === 'string' && /^(?:\d+(?:\.\d*)?|\.\d+)$/.test(value)) return Number(value) * 1_000;
  throw new UsageError('--wait SECONDS must be a number, as 10 or 0.5');
}

/** Tries again, with growing pauses, while there is no daemon or its answer may change by itself. */
async function askUntil(deadline: number, once: () => Promise<Answer>): Promise<Answer> {
  let answer = await once();
  let pause = FIRST_PAUSE_MS;
  while (mayChange(answer) && performance.now() < deadline) {
    await sleep(Math.min(pause, deadline - performance.now()));
    pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
    answer = await once();
  }
  return answer;
}

function mayChange(answer: Answer): boolean {
  return answer.kind === 'no_daemon' || problemOf(answer)?.retryable === true;
}
