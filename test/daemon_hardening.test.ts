import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { ask } from './support/http_client.js';
import { runFromSources, runProgram, startDaemonProcess, writeConfiguration } from './support/process.js';
import { until } from './support/until.js';
import { withoutNative } from './support/without_native.js';

const SECRETS = `
stores: { local: { backend: env, root: mxm/test } }
refs: { api_key: { store: local, path: api-key, policy: open } }
policies: { open: { allowed_principals: [marketdata] } }
`;
const ENVIRONMENT = { MXM_TEST_API_KEY: 'canary-0b51', MXM_TEST_LATER: 'canary-77aa' };

const isRoot = process.getuid?.() === 0;

t.test('a served daemon leaves no core', async (t) => {
  const daemon = await startDaemonProcess(t, { secrets: SECRETS });
  t.match(readFileSync(`/proc/${daemon.child.pid}/limits`, 'latin1'), /^Max core file size +0 +0 /m);
});

t.test(
  'the variables of env stores leave the environment block, and are served all the same',
  { skip: isRoot ? false : 'only root can still look into the process' },
  async (t) => {
    const daemon = await startDaemonProcess(t, { secrets: SECRETS, env: ENVIRONMENT });
    const block = (): string => readFileSync(`/proc/${daemon.child.pid}/environ`, 'latin1');
    t.notMatch(block(), ENVIRONMENT.MXM_TEST_API_KEY);
    t.match(block(), ENVIRONMENT.MXM_TEST_LATER, 'what no ref names stays');
    t.match(await ask(daemon.socket, '/secrets/api_key'), { json: { value: ENVIRONMENT.MXM_TEST_API_KEY } });

    const more = SECRETS.replace('refs: {', 'refs: { later: { store: local, path: later, policy: open },');
    writeFileSync(join(daemon.folder, 'secrets.yaml'), more, { mode: 0o600 });
    daemon.child.kill('SIGHUP');
    await until(() => daemon.log().some(({ event }) => event === 'reloaded'));
    t.notMatch(block(), ENVIRONMENT.MXM_TEST_LATER, 'a reload finds it, and takes it as well');
    t.match(await ask(daemon.socket, '/secrets/later'), { json: { value: ENVIRONMENT.MXM_TEST_LATER } });
    t.match(await ask(daemon.socket, '/secrets/api_key'), { json: { value: ENVIRONMENT.MXM_TEST_API_KEY } });
  },
);

t.test('where the platform does not allow it', async (t) => {
  const nodeArguments = withoutNative(t);

  await t.test('the daemon says once what stays open, and serves', async (t) => {
    runFromSources(t);
    const daemon = await startDaemonProcess(t, { secrets: SECRETS, env: ENVIRONMENT, nodeArguments });
    t.match(await ask(daemon.socket, '/secrets/api_key'), { json: { value: ENVIRONMENT.MXM_TEST_API_KEY } });
    await until(() => daemon.audit().length > 0);
    t.match(
      daemon.log().filter(({ level }) => level === 'warn'),
      [{ event: 'hardening_incomplete', open: ['core_dumps', 'memory_of_process', 'environment_block'] }],
    );
    t.match(daemon.audit(), [{ peer: null }]);
    t.match(await daemon.stop(), { status: 0 });
  });

  await t.test('socket.allow is an error of the configuration', async (t) => {
    const { launchFile } = writeConfiguration(t, { secrets: SECRETS, socket: 'allow: { users: [0] }' });
    const ended = await runProgram(['serve', '--launch', launchFile], { nodeArguments });
    t.match(ended, { status: 78, stderr: /launch\.yaml:3:\d+: socket\.allow: cannot be kept here/ });
  });
});

t.test('where it does, nothing stays open, and the record says who asked', async (t) => {
  const daemon = await startDaemonProcess(t, { secrets: SECRETS, env: ENVIRONMENT });
  await ask(daemon.socket, '/secrets/api_key');
  await until(() => daemon.audit().length > 0);
  t.match(daemon.audit(), [{ peer: { pid: process.pid, uid: process.getuid?.(), gid: process.getgid?.() } }]);
  t.notOk(daemon.log().some(({ event }) => event === 'hardening_incomplete'));
});

t.test('socket.allow', async (t) => {
  const other = (process.getuid?.() ?? 0) + 1;
  await t.test('refuses whom it does not list, except for health', async (t) => {
    const daemon = await startDaemonProcess(t, {
      secrets: SECRETS,
      env: ENVIRONMENT,
      socket: `allow: { users: [${other}], groups: [54321] }`,
    });
    for (const path of ['/secrets', '/identity', '/secrets/api_key', '/secrets/Bad?x']) {
      t.match(await ask(daemon.socket, path), { status: 403, json: { code: 'peer_denied', retryable: false } }, path);
    }
    for (const path of ['/healthz', '/readyz']) t.match(await ask(daemon.socket, path), { status: 200 }, path);
    t.match(await ask(daemon.socket, '/nothing'), { status: 404 }, 'a route that does not exist goes before');
    t.match(await ask(daemon.socket, '/secrets', { method: 'POST' }), { status: 405 }, 'and a method');
    t.match(await runProgram(['get', 'api_key', '--socket', daemon.socket]), { status: 77, stderr: /peer_denied/ });
    await until(() => daemon.audit().length === 3);
    for (const record of daemon.audit()) {
      t.match(record, { decision: 'denied', outcome: 'peer_denied', store: null, backend: null, policy: null });
    }
  });

  await t.test('lets in whom it lists', async (t) => {
    const daemon = await startDaemonProcess(t, {
      secrets: SECRETS,
      env: ENVIRONMENT,
      socket: `allow: { users: [${process.getuid?.() ?? 0}] }`,
    });
    t.match(await ask(daemon.socket, '/secrets/api_key'), { status: 200 });
  });

  await t.test('cannot be changed by a reload', async (t) => {
    const daemon = await startDaemonProcess(t, { secrets: SECRETS, socket: 'allow: {}' });
    const text = readFileSync(daemon.launchFile, 'utf8').replace('allow: {}', 'allow: { users: [0] }');
    writeFileSync(daemon.launchFile, text, { mode: 0o600 });
    daemon.child.kill('SIGHUP');
    await until(() => daemon.log().some(({ event }) => event === 'reload_refused'));
    t.match(await ask(daemon.socket, '/secrets'), { status: 403 });
  });
});
