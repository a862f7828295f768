import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { activate, type Activator, inheriting, listeningFd } from './support/activation.js';
import { ask } from './support/http_client.js';
import { listenForNotices } from './support/notices.js';
import { runFromSources, runProgram, serveProcess, startDaemonProcess, writeConfiguration } from './support/process.js';
import { realPython } from './support/python_peer.js';
import { openRaw, requestText } from './support/raw_connection.js';
import { type Ending, temporaryFolder } from './support/temporary.js';
import { until } from './support/until.js';

const SECRETS = `
stores: { local: { backend: env, root: mxm/test } }
refs: { api_key: { store: local, path: api-key, policy: open } }
policies: { open: { allowed_principals: [marketdata] } }
`;
const ENVIRONMENT = { MXM_TEST_API_KEY: 'value' };

/** Of a daemon that listens on what it inherits. */
function writeInheriting(t: Ending, launch = ''): { folder: string; launchFile: string } {
  const configured = writeConfiguration(t, { secrets: SECRETS });
  const text = readFileSync(configured.launchFile, 'utf8').replace(/^socket:.*$/m, '');
  writeFileSync(configured.launchFile, `${text}${launch}\n`);
  return configured;
}

/** The same with a store that takes two seconds. */
function writeSlow(t: Ending, launch = ''): string {
  const { folder, launchFile } = writeInheriting(t, launch);
  const script = join(folder, 'gopass');
  writeFileSync(script, '#!/bin/sh\n[ "$1" = --version ] && echo "gopass 1.16.1 x" && exit\nsleep 2; echo slow\n', {
    mode: 0o700,
  });
  writeFileSync(
    join(folder, 'secrets.yaml'),
    SECRETS.replace('backend: env, root: mxm/test', `backend: gopass, root: mxm/test, binary: ${script}`),
    { mode: 0o600 },
  );
  return launchFile;
}

const skip = realPython().skip;

t.test('an inherited socket is served, needs no other, and stays where it is', { skip }, async (t) => {
  const { launchFile } = writeInheriting(t);
  const activator = await activate(t, launchFile, ENVIRONMENT);
  t.match(await ask(activator.socket, '/secrets/api_key'), { status: 200, json: { value: 'value' } });
  t.match(activator.log(), `"event":"listening","socket":"${activator.socket}"`);
  process.kill(Number(activator.events[0]?.slice('started '.length)), 'SIGTERM');
  await until(() => activator.events.includes('ended 0'));
  t.ok(existsSync(activator.socket), 'it is not ours to remove');
  t.equal((await ask(activator.socket, '/secrets/api_key')).status, 200, 'the next connection starts the next daemon');
});

t.test('who connects while it stops waits for the next daemon', { skip }, async (t) => {
  runFromSources(t);
  const activator = await activate(t, writeSlow(t));
  const before = ask(activator.socket, '/secrets/api_key');
  await until(() => activator.log().includes('"event":"listening"'));
  const [pid] = activator.events.map((event) => Number(event.slice('started '.length)));
  await new Promise((resolve) => setTimeout(resolve, 500));
  process.kill(Number(pid), 'SIGTERM');
  await until(() => activator.log().includes('"event":"stopping"'));
  t.match(await ask(activator.socket, '/secrets/api_key'), { status: 200, json: { value: 'slow' } });
  t.match(await before, { status: 200 });
  t.equal(startsOf(activator), 2);
});

t.test('who has asked before it stops is answered by it or by the next daemon', { skip }, async (t) => {
  const activator = await activate(t, writeInheriting(t).launchFile, ENVIRONMENT);
  t.equal((await ask(activator.socket, '/healthz')).status, 200);
  const [pid] = activator.events.map((event) => Number(event.slice('started '.length)));
  process.kill(Number(pid), 'SIGSTOP');
  const asking = await Promise.all(Array.from({ length: 5 }, () => openRaw(t, activator.socket)));
  for (const connection of asking) connection.send(requestText('GET /secrets/api_key', { Connection: 'close' }));
  process.kill(Number(pid), 'SIGTERM');
  process.kill(Number(pid), 'SIGCONT');
  for (const connection of asking) t.match(await connection.closed(), /^HTTP\/1\.1 (200|503) [^]*}$/);
  await until(() => activator.events.includes('ended 0'));
  t.equal(activator.log().match(/"event":"secret_access"/g)?.length, asking.length);
});

t.test('it goes before the socket of the launch file', { skip }, async (t) => {
  const configured = writeConfiguration(t, { secrets: SECRETS });
  const activator = await activate(t, configured.launchFile, ENVIRONMENT);
  t.equal((await ask(activator.socket, '/healthz')).status, 200);
  t.notOk(existsSync(configured.socket));
});

t.test('a socket that is meant for another process is left alone', async (t) => {
  const configured = writeConfiguration(t, { secrets: SECRETS });
  const options = { ...inheriting([await listeningFd(t)]), under: [] };
  const daemon = await serveProcess(t, configured, { ...options, env: { LISTEN_FDS: '1', LISTEN_PID: '1' } });
  t.ok(existsSync(configured.socket), 'it has made its own');
  t.same(await daemon.stop(), { status: 0, signal: null });
});

t.test('without an inherited socket', async (t) => {
  const ended = await runProgram(['serve', '--launch', writeInheriting(t, 'idle_exit_s: 5').launchFile]);
  t.equal(ended.status, 78);
  t.match(ended.stderr, /launch\.yaml:1:1: socket: is missing: where to listen, as no socket is inherited\n/);
  t.match(ended.stderr, /launch\.yaml:\d+:1: idle_exit_s: is for an inherited socket, and there is none/);
  const { launchFile } = writeConfiguration(t, { secrets: SECRETS, socket: 'path: x, mode: "0660"' });
  const text = readFileSync(launchFile, 'utf8').replace('path: x, ', '');
  writeFileSync(launchFile, text);
  const without = await runProgram(['serve', '--launch', launchFile]);
  t.match(without, { status: 78, stderr: /socket\.path: is missing/ });
  t.equal((await runProgram(['check', '--offline', '--launch', launchFile])).status, 0, 'check cannot know');
});

t.test('leaving when nothing is asked for', { skip }, async (t) => {
  await t.test('idle connections do not count, and are closed', async (t) => {
    const activator = await activate(t, writeInheriting(t, 'idle_exit_s: 1').launchFile, ENVIRONMENT);
    const silent = await openRaw(t, activator.socket);
    const kept = await openRaw(t, activator.socket);
    kept.send(requestText('GET /secrets'));
    await kept.receives('api_key');
    t.equal(await silent.closed(), '');
    await kept.closed();
    await until(() => activator.events.includes('ended 0'));
    t.match(activator.log(), /"event":"stopping".*\n.*"event":"stopped"/);
  });

  await t.test('no request is lost at the edge', async (t) => {
    const activator = await activate(t, writeInheriting(t, 'idle_exit_s: 1').launchFile, ENVIRONMENT);
    let answered = 0;
    for (const afterLimit of [0, 1, 2, 4, 8, 16]) {
      t.equal((await ask(activator.socket, '/secrets/api_key')).status, 200);
      await new Promise((resolve) => setTimeout(resolve, 1_000 + afterLimit));
      const asked = [];
      for (let count = 0; count < 40; count += 1) {
        asked.push(ask(activator.socket, '/secrets/api_key'));
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      for (const { status } of await Promise.all(asked)) answered += status === 200 ? 1 : 0;
    }
    t.equal(answered, 240);
    t.ok(startsOf(activator) > 1, `${startsOf(activator)} daemons`);
    t.same(
      activator.events.filter((event) => event.startsWith('ended') && event !== 'ended 0'),
      [],
    );
  });

  await t.test('a request that is open keeps it', async (t) => {
    const launchFile = writeSlow(t, 'idle_exit_s: 1');
    const activator = await activate(t, launchFile);
    t.match(await ask(activator.socket, '/secrets/api_key'), { status: 200, json: { value: 'slow' } });
    t.equal(startsOf(activator), 1);
  });

  await t.test('SIGTERM while it leaves changes nothing', async (t) => {
    const activator = await activate(t, writeInheriting(t, 'idle_exit_s: 1').launchFile, ENVIRONMENT);
    const stuck = connect(activator.socket);
    t.teardown(() => stuck.destroy());
    stuck.pause();
    await until(() => activator.log().includes('"event":"stopping"'));
    process.kill(Number(activator.events[0]?.slice('started '.length)), 'SIGTERM');
    await until(() => activator.events.some((event) => event.startsWith('ended')));
    // By the signal where it came when all was done and Node was taking itself apart: to a service manager both are well.
    t.match(activator.events[1], /^ended (?:0|-15)$/);
  });

  await t.test('the time may be changed by a reload', async (t) => {
    runFromSources(t);
    const { launchFile } = writeInheriting(t);
    const activator = await activate(t, launchFile, ENVIRONMENT);
    t.equal((await ask(activator.socket, '/healthz')).status, 200);
    writeFileSync(launchFile, `${readFileSync(launchFile, 'utf8')}idle_exit_s: 1\n`);
    process.kill(Number(activator.events[0]?.slice('started '.length)), 'SIGHUP');
    await until(() => activator.events.includes('ended 0'));
    t.match(activator.log(), '"event":"reloaded"');
  });
});

function startsOf({ events }: Activator): number {
  return events.filter((event) => event.startsWith('started')).length;
}

t.test('the service manager is told', { skip }, async (t) => {
  runFromSources(t);
  const name = join(temporaryFolder(t), 'notify');
  const messages = await listenForNotices(t, name);
  const told = (text: string): Promise<unknown> => until(() => messages.some((message) => message.includes(text)));

  await t.test('of readiness, of reloads and of the end', async (t) => {
    const env = { ...ENVIRONMENT, NOTIFY_SOCKET: name };
    const daemon = await startDaemonProcess(t, { secrets: SECRETS, env });
    await told('READY=1\nSTATUS=marketdata may read 1 secret');
    await told('STATUS=marketdata may read 1 secret; all stores are ready');
    writeFileSync(join(daemon.folder, 'secrets.yaml'), 'stores: []\n', { mode: 0o600 });
    daemon.child.kill('SIGHUP');
    await told('the last reload was refused: ');
    t.ok(messages.some((message) => /^RELOADING=1\nMONOTONIC_USEC=\d+$/.test(message)));
    t.match(await daemon.stop(), { status: 0 });
    await told('STOPPING=1');
  });

  await t.test('why there is no start', async (t) => {
    const { launchFile } = writeConfiguration(t, { secrets: 'stores: []\n' });
    const ended = await runProgram(['serve', '--launch', launchFile], { env: { NOTIFY_SOCKET: name } });
    t.equal(ended.status, 78);
    await told('stores: must be a mapping');
  });

  await t.test('why a socket cannot be served', async (t) => {
    const { launchFile, folder } = writeConfiguration(t, { secrets: SECRETS });
    const serve = ['serve', '--launch', launchFile];
    const several = inheriting([await listeningFd(t), await listeningFd(t)], { env: { NOTIFY_SOCKET: name } });
    t.match(await runProgram(serve, several), { status: 78 });
    await told('STATUS=LISTEN_FDS: the inherited socket must be one socket');
    writeFileSync(join(folder, 's.sock'), 'a file');
    t.match(await runProgram(serve, { env: { NOTIFY_SOCKET: name } }), { status: 73 });
    await told('s.sock: there is a file that is no socket');
  });

  await t.test('and if it is dead nothing happens', async (t) => {
    const daemon = await startDaemonProcess(t, { secrets: SECRETS, env: { NOTIFY_SOCKET: `${name}.gone` } });
    t.match(await daemon.stop(), { status: 0 });
    t.equal(daemon.stderr(), '');
  });
});
