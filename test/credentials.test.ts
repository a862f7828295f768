import { chmodSync } from 'node:fs';
import { dirname } from 'node:path';
import t from 'tap';
import { failure } from '../src/backends/backend.js';
import { testApp, type TestApp, type TestAppOptions } from './support/app.js';
import { ask } from './support/http_client.js';
import { connectPeer, type PeerOptions, realPython } from './support/python_peer.js';
import { openRaw } from './support/raw_connection.js';
import { scriptedBackend } from './support/scripted_backend.js';
import type { Ending } from './support/temporary.js';
import { until } from './support/until.js';

const skip = realPython().skip;
const MAX = 1_048_576;

/** What systemd sends more than it takes: the unit fails. */
const REFUSED = MAX + 1;

function nameFor(id: string): string {
  return `@0123456789abcdef/unit/reader.service/${id}`;
}

/** Asks as systemd does: names its end, shuts its writing half down, reads to the end. */
async function load(t: Ending, path: string, id: string, options: PeerOptions = {}): Promise<Buffer> {
  return (await connectPeer(t, path, { name: nameFor(id), shutDown: true, ...options })).received();
}

async function listening(t: Ending, options?: TestAppOptions): Promise<TestApp & { path: string }> {
  const app = testApp(t, options);
  return { ...app, path: await app.listen() };
}

t.test('a credential is the bytes of the secret', { skip }, async (t) => {
  const { path, audit } = await listening(t);
  t.equal((await load(t, path, 'api_key')).toString(), 'the value');
  t.match(audit, [
    {
      secret: 'api_key',
      decision: 'allowed',
      outcome: 'ok',
      store: 'red',
      peer: { uid: process.getuid?.(), gid: process.getgid?.(), unit: 'reader.service' },
      via: 'systemd-credential',
    },
  ]);
  t.equal((await load(t, path, 'api_key')).toString(), 'the value', 'it may be asked for twice');
  t.not(audit[0]?.request_id, audit[1]?.request_id);
});

t.test('who gets none is sent more than systemd takes, and the log says why', { skip }, async (t) => {
  const { path, audit, log } = await listening(t);
  const cases = [
    { id: 'guarded', decision: 'denied', code: 'access_denied' },
    { id: 'nowhere', decision: 'unknown', code: 'unknown_secret' },
    { id: 'absent', decision: 'allowed', code: 'secret_not_found' },
    { id: 'No-Name', decision: 'invalid', code: 'invalid_secret_name' },
    { id: 'n'.repeat(60), decision: 'unknown', code: 'unknown_secret' },
    { id: 'ünï', decision: 'invalid', code: 'invalid_secret_name' },
  ];
  for (const { id, decision, code } of cases) {
    const received = await load(t, path, id);
    t.equal(received.length, REFUSED, id);
    t.ok(received.every((byte) => byte === 0));
    t.match(audit.at(-1), { secret: id, decision, outcome: code, via: 'systemd-credential' });
    t.match(log.at(-1), {
      level: 'error',
      event: 'credential_refused',
      unit: 'reader.service',
      secret: id,
      code,
      message: /^the unit does not start: /,
    });
  }
});

t.test('a value of 1 MiB is given, and a larger one is refused', { skip }, async (t) => {
  const backend = scriptedBackend();
  const { path, audit, log } = await listening(t, { backend, limits: { maxValueBytes: 2 * MAX } });
  for (const length of [MAX, MAX + 1]) {
    const loaded = load(t, path, 'api_key');
    await until(() => backend.calls.length > 0);
    const value = Buffer.alloc(length, 'x');
    backend.calls.shift()?.answer({ ok: true, value });
    const received = await loaded;
    if (length === MAX) t.ok(received.equals(Buffer.alloc(MAX, 'x')));
    else t.ok(received.equals(Buffer.alloc(REFUSED)));
    await until(() => value.every((byte) => byte === 0));
  }
  t.match(
    audit.map(({ outcome }) => outcome),
    ['ok', 'backend_failed'],
  );
  t.match(
    log.find(({ event }) => event === 'secret_failed'),
    { reason: 'value_too_large' },
  );
});

t.test('a credential may take longer than a request, of which nothing has come', { skip }, async (t) => {
  const backend = scriptedBackend();
  const { app, path } = await listening(t, { backend });
  Object.assign(app.server, { requestTimeout: 20, headersTimeout: 20, connectionsCheckingInterval: 5 });
  const loaded = load(t, path, 'api_key');
  await until(() => backend.calls.length > 0);
  await (await openRaw(t, path)).closed(); // time is up for one that came later
  backend.calls[0]?.answer({ ok: true, value: Buffer.from('late') });
  t.equal((await loaded).toString(), 'late');
});

t.test('what a backend cannot give, and what cannot be recorded, is refused', { skip }, async (t) => {
  const backend = scriptedBackend();
  const { path } = await listening(t, { backend });
  const loaded = load(t, path, 'api_key');
  await until(() => backend.calls.length > 0);
  backend.calls[0]?.answer(failure('backend_locked', 'key_locked'));
  t.equal((await loaded).length, REFUSED);

  const unrecorded = await listening(t, { append: () => Promise.resolve(false) });
  t.equal((await load(t, unrecorded.path, 'api_key')).length, REFUSED);
});

t.test('a defect is refused, too', { skip }, async (t) => {
  const { path, log } = await listening(t, { append: () => Promise.reject(new RangeError('canary')) });
  t.equal((await load(t, path, 'api_key')).length, REFUSED);
  t.match(log, [{ event: 'defect', error: 'RangeError' }]);
});

t.test('the service manager needs no entry in socket.allow', { skip }, async (t) => {
  const { path } = await listening(t, { allow: { uids: [], gids: [] } });
  t.equal((await load(t, path, 'api_key')).toString(), 'the value');
  t.match(await ask(path, '/secrets/api_key'), { status: 403, json: { code: 'peer_denied' } });
});

t.test('too many connections, and the end of the daemon, refuse it and never close it empty', { skip }, async (t) => {
  const { path, drain } = await listening(t, { connections: 1 });
  const [first] = [await openRaw(t, path), await openRaw(t, path)];
  t.equal((await load(t, path, 'api_key')).length, REFUSED, 'above twice the limit');
  first.socket.destroy();
  t.equal((await load(t, path, 'api_key')).length, REFUSED, 'above the limit');
  const stopping = await listening(t);
  await stopping.drain();
  t.equal((await load(t, stopping.path, 'api_key')).length, REFUSED);
  await drain();
});

t.test('the end of the daemon waits for a credential', { skip }, async (t) => {
  const backend = scriptedBackend();
  const { path, drain, quietSince } = await listening(t, { backend });
  const loaded = load(t, path, 'api_key');
  await until(() => backend.calls.length > 0);
  t.equal(quietSince(), null, 'nor is it idle');
  const drained = drain();
  backend.calls[0]?.answer({ ok: true, value: Buffer.from('late') });
  t.equal((await loaded).toString(), 'late');
  await drained;
});

t.test('a manager that leaves before the answer is nobody to answer', { skip }, async (t) => {
  for (const answer of [{ ok: true, value: Buffer.from('v') }, failure('backend_failed', 'decrypt_failed')] as const) {
    const backend = scriptedBackend();
    const { path, audit, disconnect } = await listening(t, { backend });
    const loaded = load(t, path, 'api_key');
    await until(() => backend.calls.length > 0);
    await disconnect();
    t.equal(backend.calls[0]?.request.signal.aborted, true);
    backend.calls[0]?.answer(answer);
    t.equal((await loaded).length, 0);
    await until(() => audit.length > 0);
    t.match(audit, [{ outcome: 'cancelled' }]);
  }
});

t.test('one that leaves while the record is written gets nothing, and the value is wiped', { skip }, async (t) => {
  const backend = scriptedBackend();
  let recorded = (): void => undefined;
  const app = await listening(t, {
    backend,
    append: () => new Promise((resolve) => (recorded = (): void => resolve(true))),
  });
  const loaded = load(t, app.path, 'api_key');
  await until(() => backend.calls.length > 0);
  const value = Buffer.from('v');
  backend.calls[0]?.answer({ ok: true, value });
  await new Promise((resolve) => setImmediate(resolve));
  await app.disconnect();
  t.equal((await loaded).length, 0);
  recorded();
  await until(() => value.every((byte) => byte === 0));
});

t.test(
  'the name of a service manager on a connection of somebody else makes it an ordinary one',
  { skip: skip || (process.getuid?.() === 0 ? false : 'only root can be another user') },
  async (t) => {
    const umask = process.umask(0);
    const { path, audit } = await listening(t);
    process.umask(umask);
    chmodSync(dirname(path), 0o755);
    const as = { uid: 54_321, gid: 54_321 };
    t.equal((await load(t, path, 'api_key', { as })).toString(), '', 'which asks for nothing');
    const sends = 'GET /secrets/guarded HTTP/1.1\r\nHost: l\r\nConnection: close\r\n\r\n';
    t.match((await load(t, path, 'api_key', { as, sends, shutDown: false })).toString(), /"code":"access_denied"/);
    t.match(audit, [{ secret: 'guarded', peer: { uid: 54_321, gid: 54_321 } }]);
    t.notOk('via' in (audit[0] ?? {}));
  },
);

t.test('a peer that says nothing, or half-closes before it asks, is closed without a record', async (t) => {
  const { path, audit } = await listening(t);
  const silent = await openRaw(t, path);
  const half = await openRaw(t, path);
  half.socket.end();
  t.equal(await half.closed(), '');
  t.equal((await ask(path, '/secrets/api_key')).status, 200, 'nobody else is kept waiting');
  t.equal(silent.received(), '');
  t.equal(audit.length, 1);
});
