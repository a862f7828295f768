import { ask, askUntil, type Patience, type Problem, problemOf } from '../client/ask.js';
import { isErrorCode } from '../domain/errors.js';
import { type OptionValues, UsageError } from './arguments.js';
import { describeRefusal } from './ask.js';
import { EXIT, EXIT_OF_CODE } from './exit_status.js';

export type SecretAnswer =
  /** The bytes are the receiver's, to be filled with zeros. */
  | { readonly kind: 'value'; readonly value: Buffer }
  | {
      readonly kind: 'refused';
      readonly why: string;
      readonly status: number;
      /** That of the daemon, if it answered. */
      readonly code?: string;
    };

/** Asks the daemon for a secret whose name is an identifier. Never rejects. */
export async function askSecret(socket: string, name: string, patience: Patience): Promise<SecretAnswer> {
  const answer = await askUntil(patience, () => ask(socket, `/secrets/${name}`, 'application/octet-stream'));
  if (answer.kind === 'answer' && answer.status === 200 && answer.type === 'application/octet-stream') {
    return { kind: 'value', value: answer.body };
  }
  const problem = problemOf(answer);
  const why = describeRefusal(answer, socket);
  return { kind: 'refused', why, status: statusOf(problem), ...(problem && { code: problem.code }) };
}

function statusOf(problem: Problem | null): number {
  if (problem === null) return EXIT.unavailable;
  return isErrorCode(problem.code) ? EXIT_OF_CODE[problem.code] : EXIT.defect;
}

/** The milliseconds of `--wait SECONDS`. */
export function waitMilliseconds({ wait }: OptionValues): number {
  if (wait === undefined) return 0;
  if (typeof wait === 'string' && /^(?:\d+(?:\.\d*)?|\.\d+)$/.test(wait)) return Number(wait) * 1_000;
  throw new UsageError('--wait SECONDS must be a number, as 10 or 0.5');
}
