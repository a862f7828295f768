import { join } from 'node:path';
import t from 'tap';
import { findServiceManager } from '../../src/os/service_manager.js';
import { listenForNotices } from '../support/notices.js';
import { realPython } from '../support/python_peer.js';
import { temporaryFolder } from '../support/temporary.js';
import { until } from '../support/until.js';

for (const kind of ['a path', 'an abstract name']) {
  t.test(`notices go to ${kind}`, { skip: realPython().skip }, async (t) => {
    const path = join(temporaryFolder(t), 'notify');
    const name = kind === 'a path' ? path : `@${path}`;
    const messages = await listenForNotices(t, name);
    const environment = { NOTIFY_SOCKET: name, OTHER: 'stays' };
    const manager = findServiceManager(environment);
    t.same(environment, { OTHER: 'stays' }, 'no child answers for us');
    t.ok(manager.listens);
    manager.ready('serves');
    manager.reloading();
    manager.status('one\n  two\nthree');
    manager.status('x'.repeat(5_000));
    manager.stopping();
    await until(() => messages.length >= 5);
    t.equal(messages[0], 'READY=1\nSTATUS=serves');
    const [, microseconds] = /^RELOADING=1\nMONOTONIC_USEC=(\d+)$/.exec(messages[1] ?? '') ?? [];
    const now = Number(process.hrtime.bigint() / 1_000n);
    t.ok(Number(microseconds) <= now && Number(microseconds) > now - 60_000_000);
    t.equal(messages[2], 'STATUS=one; two; three');
    t.equal(messages[3]?.length, 'STATUS='.length + 1_000);
    t.equal(messages[4], 'STOPPING=1\nSTATUS=stopping');
  });
}

t.test('the watchdog is kept quiet from the moment of being ready', { skip: realPython().skip }, async (t) => {
  const name = join(temporaryFolder(t), 'notify');
  const messages = await listenForNotices(t, name);
  const manager = findServiceManager({
    NOTIFY_SOCKET: name,
    WATCHDOG_USEC: '20000',
    WATCHDOG_PID: String(process.pid),
  });
  manager.ready('serves');
  manager.ready('serves again');
  await until(() => messages.filter((message) => message === 'WATCHDOG=1').length >= 3);
  t.equal(messages.filter((message) => message.startsWith('READY=1')).length, 2);
});

t.test('the watchdog of another process, or none, is nothing to us', { skip: realPython().skip }, async (t) => {
  const name = join(temporaryFolder(t), 'notify');
  const messages = await listenForNotices(t, name);
  for (const watchdog of [
    { WATCHDOG_USEC: '1000', WATCHDOG_PID: '1' },
    { WATCHDOG_USEC: '0' },
    { WATCHDOG_USEC: 'soon' },
    { WATCHDOG_USEC: '8640000000000' }, // a hundred days
    {},
  ]) {
    const environment = { NOTIFY_SOCKET: name, ...watchdog };
    findServiceManager(environment).ready('serves');
    t.same(environment, {});
  }
  findServiceManager({ NOTIFY_SOCKET: name, WATCHDOG_USEC: '50000' }).ready('watched, whoever we are');
  await until(() => messages.some((message) => message === 'WATCHDOG=1'));
  t.equal(messages.filter((message) => message.startsWith('READY=1')).length, 6);
  t.equal(messages.indexOf('WATCHDOG=1'), 6, 'none before');
});

t.test('a dead notify socket, or none, does no harm', (t) => {
  for (const [name, listens] of [
    [join(temporaryFolder(t), 'gone'), true],
    ['@nobody-listens-here', true],
    [`/${'x'.repeat(500)}`, true],
    ['', false],
    ['vsock:2:1', false],
    ['@', false],
  ] as const) {
    const manager = findServiceManager({ NOTIFY_SOCKET: name });
    t.equal(manager.listens, listens, name);
    manager.ready('serves');
    manager.stopping();
  }
  t.notOk(findServiceManager({ NOTIFY_SOCKET: '/run/notify' }, 1, null).listens);
  t.notOk(findServiceManager({}).listens);
  t.end();
});
