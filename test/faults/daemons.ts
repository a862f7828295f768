import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ask } from '../support/http_client.js';
import { nodeProgram } from '../support/node.js';
import { runProgram, startProgram, untilAnswers } from '../support/process.js';
import { openRaw, requestText, splitAnswers } from '../support/raw_connection.js';
import { until } from '../support/until.js';
import type { DaemonOrder, DaemonReport } from './daemon_racer.js';
import type { Fault } from './fault.js';
import type { Scene } from './scene.js';

const CALLERS = 16;
const RACES = 200;
/** So many of them with a process of its own for each daemon: the others start and stop within two. */
const RACES_OF_PROCESSES = 5;

export const DAEMON_FAULTS: readonly Fault[] = [
  {
    name: 'SIGTERM under load',
    asked: `${CALLERS} callers ask one after the other, on connections of their own and on open ones; SIGTERM, and every request that could be sent is answered; a new start`,
    async act(scene) {
      const daemon = await scene.start({
        faulty: 'case "$*" in *slow*) note $$; sleep 1 ;; esac; echo value',
        refs: ['slow: { store: faulty, path: slow, policy: open }'],
      });
      let stopping = false;
      const callers = Array.from({ length: CALLERS }, async (_, caller) => {
        while (!stopping) {
          const status = await askAlone(scene, `/secrets/${['faulty', 'good', 'local'][caller % 3]}`);
          if (status === undefined) return;
          assert([200, 503].includes(status), String(status));
        }
      });
      const open = await openRaw(scene.t, daemon.socket);
      open.send(requestText('GET /healthz'));
      await open.receives('{"status":"ok"}');
      const asking = scene.ask('/secrets/slow');
      await scene.faulty.noted(1);
      const ended = daemon.stop();
      await until(() => daemon.log().some(({ event }) => event === 'stopping'));
      open.send(requestText('GET /secrets/local'));
      await open.receives('"code":"shutting_down"');
      scene.came('503 shutting_down');
      assert.equal((await asking)?.json['value'], 'value', 'what was in flight is answered');
      stopping = true;
      await Promise.all(callers);
      assert.deepEqual(await ended, { status: 0, signal: null });
      assert.deepEqual(
        readdirSync(dirname(daemon.socket)).filter((name) => name.endsWith('.sock')),
        [],
      );
      await scene.startAgain();
    },
  },
  {
    name: 'kill -9 and restart',
    asked: 'SIGKILL while four calls run, then a new start at the same path',
    async act(scene) {
      await scene.start({ faulty: 'note $$; sleep 1; echo value' });
      const asking = Promise.all([1, 2, 3, 4].map(() => scene.ask('/secrets/faulty')));
      await scene.faulty.noted(1);
      assert.deepEqual(await scene.daemon.stop('SIGKILL'), { status: null, signal: 'SIGKILL' });
      assert.deepEqual(await asking, [undefined, undefined, undefined, undefined]);
      await scene.ask('/healthz');
      await scene.startAgain();
      await scene.expect('faulty', 'ok');
    },
  },
  {
    name: 'two daemons race for one path',
    asked: `${RACES} times, ${RACES_OF_PROCESSES} of them as two processes from their start: one serves, the other says why not`,
    async act(scene) {
      const { launchFile, socket } = await scene.start();
      await scene.daemon.stop();
      const racers = await Promise.all([racer(scene), racer(scene)]);
      const all = (order: DaemonOrder): Promise<DaemonReport[]> =>
        Promise.all(racers.map((process) => tell(process, order)));
      for (let round = 0; round < RACES - RACES_OF_PROCESSES; round += 1) {
        const reports = await all({ race: launchFile, at: Date.now() + 5 });
        assert.equal(reports.filter(({ won }) => won).length, 1, JSON.stringify(reports));
        for (const { won, message } of reports) if (!won) assert.match(message ?? '', /another daemon listens there/);
        assert.equal((await ask(socket, '/healthz')).status, 200);
        scene.came('one serves');
        await all({ leave: true });
        if (round === 0) await Promise.all(racers.map(({ pid }) => scene.watch(pid!)));
      }
      for (let round = 0; round < RACES_OF_PROCESSES; round += 1) await raceOfProcesses(scene, launchFile, socket);
      await scene.startAgain();
    },
  },
];

/** On a connection of its own: the status of the answer, which has to come if the request could be sent. */
async function askAlone(scene: Scene, path: string): Promise<number | undefined> {
  const connection = await openRaw(scene.t, scene.daemon.socket).catch(() => undefined);
  if (connection === undefined) {
    scene.came('refused');
    return undefined;
  }
  const text = requestText(`GET ${path}`, { Connection: 'close' });
  const failure = await new Promise((resolve) => connection.socket.write(text, resolve));
  const [answer] = splitAnswers(await connection.closed());
  if (answer === undefined) {
    assert(failure instanceof Error, 'a request was sent and has no answer');
    scene.came('not sent');
    return undefined;
  }
  const { code = 'ok' } = JSON.parse(answer.body) as { code?: string };
  scene.came(`${answer.status} ${code}`);
  return answer.status;
}

async function racer(scene: Scene): Promise<ChildProcess> {
  const [file, ...rest] = nodeProgram(fileURLToPath(new URL('daemon_racer.ts', import.meta.url)));
  const log = openSync('/dev/null', 'w');
  const child = spawn(file!, [...rest, '3'], {
    stdio: ['ignore', 'inherit', 'inherit', log, 'ipc'],
    env: { ...process.env, MXM_FAULT_LOCAL: 'value' },
  });
  closeSync(log);
  scene.t.teardown(async () => {
    child.disconnect();
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  await tell(child, { leave: true }); // it is up
  return child;
}

async function tell(process: ChildProcess, order: DaemonOrder): Promise<DaemonReport> {
  process.send(order);
  const [report] = (await once(process, 'message')) as [DaemonReport];
  return report;
}

async function raceOfProcesses(scene: Scene, launchFile: string, socket: string): Promise<void> {
  const args = ['serve', '--launch', launchFile];
  const both = [1, 2].map(() => startProgram(args, { stdout: 'ignore', stderr: 'ignore' }));
  const ends = both.map((child) => once(child, 'exit'));
  const [status] = (await Promise.race(ends)) as [number];
  assert.equal(status, 73, 'the one that came too late');
  await untilAnswers(socket);
  scene.came('one serves');
  assert.equal((await runProgram(args)).status, 73);
  for (const child of both) child.kill('SIGTERM');
  await Promise.all(ends);
}
