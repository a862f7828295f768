import assert from 'node:assert/strict';
import { readdirSync, renameSync, writeFileSync } from 'node:fs';
import { FAULTS, fakeGopass } from '../support/fake_gopass.js';
import { createGopassStore } from '../support/gopass_store.js';
import { isRunning, processesWith } from '../support/process_table.js';
import { realGopass, realGpg, skipWithout } from '../support/real_component.js';
import { temporaryFolder } from '../support/temporary.js';
import { until } from '../support/until.js';
import type { Fault } from './fault.js';
import { GOOD_VALUE, LONG_TIMEOUT, type Scene, SHORT_TIMEOUT } from './scene.js';

const CALLERS = 4;

/** A script in place of gopass, four callers at once, and once more. */
function scripted(name: string, asked: string, script: string, code: string): Fault {
  return {
    name,
    asked: `${asked}; ${CALLERS} callers at once, then one more`,
    async act(scene) {
      await scene.start({ faulty: script, launch: code === 'backend_timeout' ? SHORT_TIMEOUT : LONG_TIMEOUT });
      await Promise.all(Array.from({ length: CALLERS }, () => scene.expect('faulty', code)));
      await scene.expect('faulty', code);
    },
  };
}

const AGENT_KILLS = 10;

export const BACKEND_FAULTS: readonly Fault[] = [
  {
    name: 'backend hangs',
    asked: 'gopass and its children never end; when the answer comes all of them are gone',
    async act(scene) {
      await scene.start({ faulty: FAULTS['hangs with a grandchild']!.script, launch: SHORT_TIMEOUT });
      await scene.expect('faulty', 'backend_timeout');
      const pids = await scene.faulty.noted(3);
      assert.deepEqual(pids.filter(isRunning), []);
    },
  },
  scripted(
    'backend ignores signals',
    'gopass ignores every signal that can be ignored, and never ends',
    FAULTS['hangs and ignores every signal that can be ignored']!.script,
    'backend_timeout',
  ),
  scripted('backend crashes', 'gopass prints something and fails', 'echo partial; exit 70', 'backend_failed'),
  scripted(
    'backend ends by SIGSEGV',
    'gopass is ended by SIGSEGV in the middle of its output',
    FAULTS['is ended by SIGSEGV']!.script,
    'backend_failed',
  ),
  scripted(
    'backend prints garbage and fails',
    'random bytes on stderr',
    FAULTS['fails with garbage']!.script,
    'backend_failed',
  ),
  scripted(
    'backend prints garbage and succeeds',
    'random bytes as the value, which nobody can tell from one',
    'head -c 5000 /dev/urandom',
    'ok',
  ),
  scripted('backend prints 100 MB', 'gopass prints 100 MB', FAULTS['prints 100 MB']!.script, 'backend_failed'),
  scripted('backend prints nothing', 'gopass succeeds without a value', 'true', 'backend_failed'),
  scripted(
    'backend drips without end',
    'a byte every 20 ms, for ever',
    'while :; do printf x; sleep 0.02; done',
    'backend_timeout',
  ),
  scripted(
    'backend drips and ends',
    'a byte every 20 ms, and an end within the time',
    'for i in 1 2 3 4 5 6 7 8 9 10; do printf x; sleep 0.02; done',
    'ok',
  ),
  {
    name: 'gpg-agent killed mid-request',
    asked: `the real gopass; SIGKILL to gpg-agent while gpg runs, ${AGENT_KILLS} times`,
    skip: () => skipWithout(realGopass(), realGpg()),
    async act(scene) {
      const user = createGopassStore(scene.t);
      user.insert('mxm/good', GOOD_VALUE);
      user.insert('mxm/faulty', 'x'.repeat(300_000));
      await scene.start({ user });
      const running = (name: string) =>
        processesWith('HOME', user.environment.HOME).filter((process) => process.name === name);
      for (let kill = 0; kill < AGENT_KILLS; kill += 1) {
        let answered = false;
        const asking = scene
          .expect('faulty', 'ok', 'backend_failed', 'backend_unavailable')
          .finally(() => (answered = true));
        await until(() => answered || running('gpg').length > 0);
        for (const { pid } of running('gpg-agent')) process.kill(pid, 'SIGKILL');
        await asking;
        await scene.goodRequest();
      }
    },
  },
  {
    name: 'store removed and restored',
    asked: 'the real gopass; the folder of its store is moved away, and moved back',
    skip: () => skipWithout(realGopass(), realGpg()),
    async act(scene) {
      const user = createGopassStore(scene.t);
      user.insert('mxm/good', GOOD_VALUE);
      user.insert('mxm/faulty', 'x');
      await scene.start({ user });
      renameSync(user.folder, `${user.folder}.away`);
      await scene.expect('faulty', 'backend_unavailable');
      renameSync(`${user.folder}.away`, user.folder);
      await scene.expect('faulty', 'ok');
    },
  },
  {
    name: 'binary replaced while running',
    asked: 'gopass becomes another file during a call, then another program, then none, then itself',
    async act(scene) {
      await scene.start({
        faulty: 'note $$; until [ -e "$0.released" ]; do sleep 0.02; done; echo old',
      });
      const { file } = scene.faulty;
      const asking = scene.ask('/secrets/faulty');
      await scene.faulty.noted(1);
      replace(scene, file, "echo 'new'");
      writeFileSync(`${file}.released`, '');
      assert.equal((await asking)?.json['value'], 'old', 'a call ends with what it began with');
      assert.equal((await scene.ask('/secrets/faulty'))?.json['value'], 'new');
      replace(scene, file, 'true', "echo 'another program'; exit 2");
      await scene.expect('faulty', 'backend_unavailable');
      renameSync(file, `${file}.away`);
      await scene.expect('faulty', 'backend_unavailable');
      replace(scene, file, "echo 'new'");
      await scene.expect('faulty', 'ok');
    },
  },
];

/** Puts another script in the place of a running one, as an update does. */
function replace({ t }: Scene, file: string, script: string, version?: string): void {
  const folder = temporaryFolder(t);
  const other = fakeGopass(t, script, { folder, ...(version !== undefined && { version }) });
  assert.deepEqual(readdirSync(folder), ['gopass']);
  renameSync(other.file, file);
}
