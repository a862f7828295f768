import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, openSync, statSync, truncateSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { createAgeStore } from './support/age_store.js';
import { fakeGopass } from './support/fake_gopass.js';
import { createGopassStore } from './support/gopass_store.js';
import { ask } from './support/http_client.js';
import { startDaemonProcess } from './support/process.js';
import { scanMemory } from './support/process_memory.js';
import { openRaw, requestText } from './support/raw_connection.js';
import { realComponent, realGopass, realGpg, skipWithout } from './support/real_component.js';
import { report } from './support/report.js';
import { until } from './support/until.js';

/** In every block of every value; no run has that of another. */
const MARK = randomBytes(6).toString('hex');

/** As it is, as two-byte text, and as base64 wherever it stands in what was encoded. */
const NEEDLES = [
  Buffer.from(MARK),
  Buffer.from(MARK, 'utf16le'),
  ...[0, 1, 2].map((offset) => {
    const encoded = Buffer.from(`${'.'.repeat(offset)}${MARK}...`).toString('base64');
    return Buffer.from(encoded.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + MARK.length) * 8) / 6)));
  }),
];

/** A value of so many bytes with the mark all over it. */
function valueOf(length: number, block = '-"\\\n'): string {
  return `${MARK}${block}`.repeat(Math.ceil(length / (MARK.length + block.length))).slice(0, length);
}

/** Not every system lets a process see the memory of its child. */
function otherMemory(): ReturnType<typeof realComponent> {
  const child = spawn('/bin/sleep', ['1000'], { stdio: 'ignore' });
  try {
    closeSync(openSync(`/proc/${child.pid}/mem`, 'r'));
    return realComponent('/proc/PID/mem of a child', '/proc');
  } catch {
    return realComponent('/proc/PID/mem of a child', undefined);
  } finally {
    child.kill('SIGKILL');
  }
}

const REPEATS = 10;

t.test(
  'after load no value that came from gopass is left in the memory of the daemon',
  { skip: skipWithout(realGopass(), realGpg(), otherMemory()) },
  async (t) => {
    const store = createGopassStore(t);
    store.insert('mxm/short', `${valueOf(20, '-')}\n`);
    store.insert('mxm/line', `${valueOf(64, '-')}\n`);
    store.insert('mxm/escaped', valueOf(640));
    store.insert('mxm/binary', Buffer.concat([Buffer.from(valueOf(64)), Buffer.of(0xff, 0x00, 0xfe)]));
    store.insert('mxm/large', valueOf(300_000));
    store.insert('mxm/too_large', valueOf(500_000));
    store.insert('mxm/entry', `${valueOf(40, '-')}\nuser: ${valueOf(30, '-')}\nnote: ${valueOf(200, '-')}\n`);
    const half = MARK.length / 2;
    const print = `printf '%s%s\\n' ${MARK.slice(0, half)} ${MARK.slice(half)}`;
    const slow = fakeGopass(
      t,
      `note $$; i=0; while [ $i -lt 1000 ]; do ${print}; ${print} >&2; i=$((i+1)); done; sleep 1000`,
    );
    const failing = fakeGopass(t, `i=0; while [ $i -lt 1000 ]; do ${print}; ${print} >&2; i=$((i+1)); done; exit 11`);
    const good = ['short', 'line', 'escaped', 'binary', 'large'];
    const fields = { first: 'password', user: 'user', note: 'note', absent: 'absent' };
    const daemon = await startDaemonProcess(t, {
      secrets: `
stores:
  red: { backend: gopass, root: mxm, binary: ${store.gopass} }
  slow: { backend: gopass, root: mxm, binary: ${slow.file} }
  failing: { backend: gopass, root: mxm, binary: ${failing.file} }
  local: { backend: env, root: mxm }
refs:
${[...good, 'too_large'].map((name) => `  ${name}: { store: red, path: ${name}, policy: open }`).join('\n')}
${Object.entries(fields)
  .map(([name, field]) => `  ${name}: { store: red, path: entry, field: ${field}, policy: open }`)
  .join('\n')}
  slow: { store: slow, path: x, policy: open }
  failing: { store: failing, path: x, policy: open }
policies:
  open: { allowed_principals: [marketdata] }
`,
      launch: 'limits: { backend_concurrency: 4, backend_timeout_ms: 60000, max_value_bytes: 400000 }\n',
      env: store.environment,
    });

    let answers = 0;
    for (let round = 0; round < REPEATS; round += 1) {
      const questions = [...good, ...Object.keys(fields), 'too_large', 'failing'].flatMap((name) =>
        ['application/json', 'text/plain'].map((accept) => ({ name, accept })),
      );
      const got = await Promise.all(
        questions.map(({ name, accept }) => ask(daemon.socket, `/secrets/${name}`, { headers: { Accept: accept } })),
      );
      answers += got.length;
      const statuses = new Set(got.map(({ status }) => status));
      t.same([...statuses].sort(), [200, 404, 502]);
      await leave(daemon.socket, round);
    }

    await sleep(500); // the daemon has to notice the last one who left
    const whileRunning = scanMemory(daemon.child.pid!, NEEDLES);
    report('memory', { answers, abandoned: 2 * REPEATS, canaries: whileRunning.found, bytes: whileRunning.bytes });
    t.comment(`canaries found: ${whileRunning.found} in ${Math.round(whileRunning.bytes / 1e6)} MB`);
    t.equal(whileRunning.found, 0);

    /** One leaves while gopass is printing, the other in the middle of its answer. */
    async function leave(socket: string, round: number): Promise<void> {
      const cancelled = (): number => daemon.audit().filter(({ outcome }) => outcome === 'cancelled').length;
      const early = await openRaw(t, socket);
      early.send(requestText('GET /secrets/slow'));
      await slow.noted(round + 1);
      early.socket.destroy();
      await until(() => cancelled() > round);
      const late = await openRaw(t, socket);
      late.send(requestText('GET /secrets/large'));
      await late.receives('HTTP/1.1 200');
      late.socket.destroy();
    }
  },
);

t.test(
  'after load no value that came from age files is left in the memory of the daemon',
  { skip: skipWithout(otherMemory()) },
  async (t) => {
    const store = await createAgeStore(t);
    await store.insert('short', valueOf(20, '-'));
    await store.insert('large', valueOf(300_000));
    await store.insert('too_large', valueOf(500_000));
    const damaged = await store.insert('damaged', valueOf(300_000));
    truncateSync(damaged, statSync(damaged).size - 20);
    const names = ['short', 'large', 'too_large', 'damaged'];
    const daemon = await startDaemonProcess(t, {
      secrets: `
stores: { aged: { backend: age, root: ${store.folder}, identity_file: ${store.identityFile} } }
refs:
${names.map((name) => `  ${name}: { store: aged, path: ${name}, policy: open }`).join('\n')}
policies: { open: { allowed_principals: [marketdata] } }
`,
      launch: 'limits: { max_value_bytes: 400000 }\n',
    });
    for (let round = 0; round < REPEATS; round += 1) {
      const got = await Promise.all(names.map((name) => ask(daemon.socket, `/secrets/${name}`)));
      t.same(
        got.map(({ status }) => status),
        [200, 200, 502, 502],
      );
    }
    t.equal(scanMemory(daemon.child.pid!, NEEDLES).found, 0);
  },
);

t.test('a value that is in the memory of a process is found', { skip: skipWithout(otherMemory()) }, async (t) => {
  const canary = randomBytes(20).toString('hex');
  // Unpacked by the other process: no argument of it holds the canary.
  const packed = gzipSync(canary).toString('base64');
  const script = `globalThis.kept = require('zlib').gunzipSync(Buffer.from('${packed}', 'base64')); console.log('kept'); setInterval(() => {}, 1000);`;
  const keeper = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => keeper.kill('SIGKILL'));
  await once(keeper.stdout, 'data');
  t.ok(scanMemory(keeper.pid!, [Buffer.from(canary)]).found > 0);
  t.equal(scanMemory(keeper.pid!, [randomBytes(20)]).found, 0);
});
