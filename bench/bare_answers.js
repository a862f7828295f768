import { Buffer } from 'node:buffer';
import { readFileSync } from 'node:fs';

/**
 * What the bare servers answer with: the daemon's own answers, by their target. They do nothing for it.
 * @returns {Map<string, { status: number, headers: Record<string, string>, body: Buffer }>}
 */
export function readAnswers(file) {
  const answers = JSON.parse(readFileSync(file, 'utf8'));
  return new Map(answers.map(({ target, body, ...rest }) => [target, { ...rest, body: Buffer.from(body) }]));
}

/** As long as the daemon's. */
export const KEEP_ALIVE_MS = 60_000;
