import { performance } from 'node:perf_hooks';
import { isIdentifier } from '../domain/identifier.js';
import type { OptionValues } from './arguments.js';
import { describeCode, socketPath } from './ask.js';
import { askSecret, waitMilliseconds } from './ask_secret.js';
import { EXIT, EXIT_OF_CODE } from './exit_status.js';
import { complain, type Io } from './io.js';

export async function get(io: Io, options: OptionValues, name: string): Promise<number> {
  const socket = socketPath(io, options);
  const deadline = performance.now() + waitMilliseconds(options);
  if (!isIdentifier(name)) return refuse(io, describeCode('invalid_secret_name'), EXIT_OF_CODE.invalid_secret_name);

  const answer = await askSecret(socket, name, { deadline });
  if (answer.kind === 'refused') return refuse(io, answer.why, answer.status);
  await io.stdout.write(answer.value);
  answer.value.fill(0);
  if (io.stdout.isTTY) await io.stdout.write('\n');
  return EXIT.ok;
}

async function refuse(io: Io, why: string, status: number): Promise<number> {
  await complain(io, 'mxm-secretsd get', why);
  return status;
}
