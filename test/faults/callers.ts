import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { nodeProgram } from '../support/node.js';
import { openRaw, type RawConnection, requestText, splitAnswers } from '../support/raw_connection.js';
import { realComponent } from '../support/real_component.js';
import { until } from '../support/until.js';
import type { Fault } from './fault.js';
import { LONG_TIMEOUT, type Scene } from './scene.js';

const LORISES = 100;
const HALF_OPEN = 20;
const VANISHING = 20;
const CROWD = 10_000;

/** More than a socket takes on its way. */
const LARGE = 'head -c 1000000 /dev/zero | tr "\\0" x';

function open(scene: Scene, count: number): Promise<RawConnection[]> {
  return Promise.all(Array.from({ length: count }, () => openRaw(scene.t, scene.daemon.socket)));
}

/** Waits until the daemon has closed them, and counts what it has said. */
async function closedAll(scene: Scene, connections: readonly RawConnection[]): Promise<void> {
  for (const connection of connections) {
    const answers = splitAnswers(await connection.closed());
    if (answers.length === 0) scene.came('closed');
    for (const { status, headers } of answers)
      scene.came(`${status} ${headers.has('x-request-id') ? 'ok' : 'by the parser'}`);
  }
}

/** The stages of a request at which its caller may vanish. */
const STAGES: readonly {
  readonly what: string;
  readonly vanish: (scene: Scene, raw: RawConnection) => Promise<void> | void;
}[] = [
  { what: 'connected', vanish: () => undefined },
  { what: 'within the request line', vanish: (_scene, raw) => raw.send('GET /secrets/fau') },
  { what: 'within the headers', vanish: (_scene, raw) => raw.send('GET /secrets/faulty HTTP/1.1\r\nHost: loc') },
  {
    what: 'within a body',
    vanish: (_scene, raw) => raw.send(requestText('POST /secrets/faulty', { 'Content-Length': '9' }) + 'x'),
  },
  { what: 'having asked', vanish: (_scene, raw) => raw.send(requestText('GET /secrets/faulty')) },
  {
    what: 'while its backend call runs or waits',
    async vanish(scene, raw) {
      const before = scene.faulty.lines('calls').length;
      raw.send(requestText('GET /secrets/faulty'));
      await until(() => scene.faulty.lines('calls').length > before || scene.left().length > 0);
    },
  },
  {
    what: 'within its answer',
    async vanish(_scene, raw) {
      raw.send(requestText('GET /secrets/large'));
      await raw.receives('HTTP/1.1 200');
    },
  },
  {
    what: 'after the first of two answers',
    async vanish(_scene, raw) {
      raw.send(requestText('GET /secrets/local') + requestText('GET /secrets/faulty'));
      await raw.receives('HTTP/1.1 200');
    },
  },
];

export const CALLER_FAULTS: readonly Fault[] = [
  {
    name: 'slow-loris',
    asked: `${LORISES} connections send a header a byte at a time; others ask meanwhile`,
    async act(scene) {
      await scene.start();
      const lorises = await open(scene, LORISES);
      for (const loris of lorises) loris.send('GET /secrets/local HTTP/1.1\r\nX-Slow: ');
      const over = Promise.all(lorises.map((loris) => loris.closed()));
      const timer = setInterval(() => {
        for (const loris of lorises) if (loris.socket.writable) loris.send('x');
      }, 1_000);
      scene.t.teardown(() => clearInterval(timer));
      for (let round = 0; round < 10; round += 1) {
        await scene.expect('good', 'ok');
        await scene.expect('local', 'ok');
        await sleep(100);
      }
      await over;
      await closedAll(scene, lorises);
      assert.equal(scene.answers['408 by the parser'], LORISES);
    },
  },
  {
    name: 'half-open peers',
    asked: `${HALF_OPEN} each connect and say nothing, ask and close their sending half, and ask and read nothing`,
    async act(scene) {
      await scene.start({ faulty: LARGE });
      const [silent, halves, deaf] = [
        await open(scene, HALF_OPEN),
        await open(scene, HALF_OPEN),
        await open(scene, HALF_OPEN),
      ];
      for (const { socket } of halves) socket.end(requestText('GET /secrets/good'));
      for (const raw of deaf) {
        raw.socket.pause();
        raw.send(requestText('GET /secrets/faulty'));
      }
      await scene.expect('good', 'ok');
      await closedAll(scene, halves);
      // The bound of an answer, and that of a request.
      await until(() => scene.surplus() === 0);
      for (const { socket } of deaf) socket.resume();
      for (const raw of deaf) assert((await raw.closed()).length < 1_000_000);
      scene.came('cut off', HALF_OPEN);
      await closedAll(scene, silent);
    },
  },
  {
    name: 'clients vanish at every stage',
    asked: `${VANISHING} callers each vanish ${STAGES.map(({ what }) => what).join(', ')}`,
    async act(scene) {
      await scene.start({
        faulty: `case "$*" in *large*) ${LARGE} ;; *) sleep 1000 ;; esac`,
        refs: ['large: { store: faulty, path: large, policy: open }'],
      });
      for (const { vanish } of STAGES) {
        await Promise.all(
          (await open(scene, VANISHING)).map(async (raw) => {
            await vanish(scene, raw);
            raw.socket.destroy();
          }),
        );
        await scene.goodRequest();
      }
      await until(() => scene.surplus() === 0 && scene.left().length === 0);
      scene.came('nobody there', VANISHING * STAGES.length);
    },
  },
  {
    name: '10,000 connections',
    asked: `limits.connections is ${CROWD}: ${CROWD} connections ask and stay; then one more, which asks for health too`,
    skip: crowdSkip,
    act: (scene) =>
      crowd(scene, `limits: { connections: ${CROWD}, backend_concurrency: 4 }\n`, { ok: CROWD, overloaded: 0 }),
  },
  {
    name: '10,000 connections above the limit',
    asked: `limits.connections is 512: ${CROWD} connections ask and stay`,
    skip: crowdSkip,
    act: (scene) => crowd(scene, LONG_TIMEOUT, { ok: 512, overloaded: 512 }),
  },
];

/** Each process of the crowd has half of it; the daemon has all. */
function crowdSkip(): string | false {
  const hard = execFileSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }).trim();
  const enough = hard === 'unlimited' || Number(hard) >= CROWD + 200;
  return realComponent(`a limit of ${CROWD + 200} descriptors`, enough ? '/' : undefined).skip;
}

async function crowd(scene: Scene, launch: string, wanted: { ok: number; overloaded: number }): Promise<void> {
  await scene.start({ launch });
  const program = nodeProgram(fileURLToPath(new URL('crowd.ts', import.meta.url)));
  const members = [1, 2].map(() => {
    const [file, ...rest] = program;
    const child = spawn(file!, [...rest, scene.daemon.socket, String(CROWD / 2)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    scene.t.teardown(() => child.kill('SIGKILL'));
    return { child, lines: createInterface(child.stdout)[Symbol.asyncIterator]() };
  });
  const told = await Promise.all(members.map(({ lines }) => lines.next()));
  for (const { value } of told) {
    for (const [what, count] of Object.entries(JSON.parse(String(value)) as Record<string, number>))
      scene.came(what, count);
  }
  const { answers } = scene;
  assert.equal(answers['200 ok'], wanted.ok);
  assert.equal(answers['503 overloaded'] ?? 0, wanted.overloaded);
  if (wanted.overloaded === 0) {
    await scene.expect('local', 'overloaded');
    assert.equal((await scene.ask('/healthz'))?.status, 200);
  }
  for (const { child } of members) child.stdin.end();
  await Promise.all(members.map(({ child }) => once(child, 'exit')));
  await until(() => scene.surplus() === 0);
}
