import { type Answer, ask, askUntil, problemOf } from '../client/ask.js';
import { isErrorCode } from '../domain/errors.js';
import { isIdentifier } from '../domain/identifier.js';
import { type OptionValues, UsageError } from './arguments.js';
import { describeCode, describeRefusal, socketPath } from './ask.js';
import { EXIT, EXIT_OF_CODE } from './exit_status.js';
import type { Io } from './io.js';

export async function get(io: Io, options: OptionValues, name: string): Promise<number> {
  const socket = socketPath(io, options);
  const waitMs = waitMilliseconds(options['wait']);
  if (!isIdentifier(name)) return refuse(io, describeCode('invalid_secret_name'), EXIT_OF_CODE.invalid_secret_name);

  const answer = await askUntil({ deadline: performance.now() + waitMs }, () =>
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
