import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf, type Scene } from '../faults/scene.js';
import { requestText } from '../support/raw_connection.js';

/** What a fake gopass does by the name that it is asked for. */
export const MISCHIEF = `case "$*" in
  *hang*) (sleep 1000 & wait) & wait ;;
  *crash*) echo partial; exit 70 ;;
  *segv*) kill -SEGV $$ ;;
  *garbage*) head -c 5000 /dev/urandom >&2; exit 11 ;;
  *drip*) for i in 1 2 3 4 5; do printf x; sleep 0.02; done ;;
  *huge*) yes | head -c 3000000 ;;
  *large*) head -c 500000 /dev/zero | tr '\\0' x ;;
esac`;

export const MISCHIEVOUS = ['hang', 'crash', 'segv', 'garbage', 'drip', 'huge', 'large'] as const;

/** Codes that any question may end with that needs a backend, as there is more than can be done at once. */
const UNDER_LOAD = ['overloaded', 'backend_timeout', 'backend_unavailable'];

interface Question {
  /** How often, in comparison. */
  readonly weight: number;
  readonly path: string;
  readonly headers?: Record<string, string>;
  readonly codes: readonly string[];
}

const QUESTIONS: readonly Question[] = [
  { weight: 40, path: '/secrets/local', codes: ['ok'] },
  { weight: 15, path: '/secrets/local', headers: { Accept: 'text/plain' }, codes: ['ok'] },
  // Its gpg-agent is killed now and then.
  { weight: 10, path: '/secrets/good', codes: ['ok', 'backend_failed', ...UNDER_LOAD] },
  { weight: 5, path: '/secrets/denied', codes: ['access_denied'] },
  { weight: 5, path: '/secrets/absent', codes: ['unknown_secret'] },
  { weight: 5, path: '/secrets/No-Name', codes: ['invalid_secret_name'] },
  { weight: 3, path: '/secrets/local?x', codes: ['invalid_request'] },
  { weight: 3, path: '/secrets', codes: ['ok'] },
  { weight: 3, path: '/nowhere', codes: ['not_found'] },
  { weight: 3, path: '/healthz', codes: ['ok'] },
  { weight: 2, path: '/readyz', codes: ['ok', 'without a code'] },
  { weight: 2, path: '/metrics', codes: ['ok'] },
  ...MISCHIEVOUS.map((name) => ({
    weight: 1,
    path: `/secrets/${name}`,
    codes: [name === 'drip' || name === 'large' ? 'ok' : 'backend_failed', ...UNDER_LOAD],
  })),
];

const TOTAL = QUESTIONS.reduce((sum, { weight }) => sum + weight, 0);

/** One in so many callers leaves before its answer. */
const LEAVES = 40;

/** Asks one question after the other until it is told to stop; what comes back unexpected is told. */
export async function askOnAndOn(
  scene: Scene,
  stopped: () => boolean,
  unexpected: (what: string) => void,
): Promise<void> {
  while (!stopped()) {
    const question = draw();
    if (Math.random() * LEAVES < 1) {
      await leave(scene, question);
      continue;
    }
    const answer = await scene.ask(question.path, question.headers && { headers: question.headers });
    const code = answer === undefined ? 'no answer' : codeOf(answer);
    if (!question.codes.includes(code)) unexpected(`${question.path}: ${code}`);
  }
}

function draw(): Question {
  let at = Math.random() * TOTAL;
  for (const question of QUESTIONS) {
    at -= question.weight;
    if (at < 0) return question;
  }
  return QUESTIONS[0]!;
}

/** After a whole request, or within one; sometimes at once. */
async function leave(scene: Scene, { path }: Question): Promise<void> {
  const request = requestText(`GET ${path}`);
  const socket = connect(scene.daemon.socket);
  socket.on('error', () => undefined);
  socket.write(Math.random() < 0.5 ? request : request.slice(0, request.length / 2));
  await sleep(Math.random() < 0.5 ? 20 : 1);
  socket.destroy();
  scene.came('left');
}
