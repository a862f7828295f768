import { request } from 'node:http';
import t from 'tap';
import { ENVIRONMENT, testApp, type TestApp } from '../../support/app.js';
import { until } from '../../support/until.js';

async function metricsOf({ app }: TestApp): Promise<string> {
  const answer = await app.inject('/metrics');
  t.equal(answer.statusCode, 200);
  t.match(answer.headers['content-type'], /^text\/plain; version=0\.0\.4/);
  return answer.payload;
}

t.test('every answer is counted under its route and code', async (t) => {
  const test = testApp(t);
  for (const url of [
    '/secrets/api_key',
    '/secrets/guarded',
    '/secrets/nothing',
    '/secrets',
    '/nowhere',
    '/secrets?a',
  ]) {
    await test.app.inject(url);
  }
  await test.app.inject({ method: 'POST', url: '/identity' });
  const text = await metricsOf(test);
  const expected = [
    ['/secrets/:name', 'ok'],
    ['/secrets/:name', 'access_denied'],
    ['/secrets/:name', 'unknown_secret'],
    ['/secrets', 'ok'],
    ['/secrets', 'invalid_request'],
    ['none', 'not_found'],
    ['/identity', 'method_not_allowed'],
  ];
  for (const [route, code] of expected) {
    t.ok(text.includes(`mxm_secretsd_requests_total{route="${route}",code="${code}"} 1\n`), `${route} ${code}`);
  }
});

t.test('a daemon whose store is not ready answers `unready`', async (t) => {
  const failed = { ok: false, code: 'backend_unavailable', reason: 'binary_missing' } as const;
  const test = testApp(t);
  test.api.readiness = () =>
    Promise.resolve(
      new Map([['red', { backend: 'env', status: 'unready', code: failed.code, reason: failed.reason }]]),
    );
  t.equal((await test.app.inject('/readyz')).statusCode, 503);
  t.ok((await metricsOf(test)).includes('mxm_secretsd_requests_total{route="/readyz",code="unready"} 1\n'));
});

t.test('a caller that leaves before its answer is counted as `cancelled`', async (t) => {
  let asked = false;
  const test = testApp(t, {
    backend: {
      fetch: ({ signal }) =>
        new Promise((resolve) => {
          asked = true;
          signal.addEventListener('abort', () => {
            resolve({ ok: false, code: 'backend_timeout', reason: 'timeout' });
          });
        }),
      probe: () => Promise.resolve({ ok: true }),
    },
  });
  const socketPath = await test.listen();
  const caller = request({ socketPath, path: '/secrets/api_key' }).end();
  caller.on('error', () => undefined);
  await until(() => asked);
  caller.destroy();
  await until(async () =>
    (await metricsOf(test)).includes('mxm_secretsd_requests_total{route="/secrets/:name",code="cancelled"} 1\n'),
  );
});

t.test('decisions are counted, whatever the answer', async (t) => {
  const test = testApp(t);
  for (const name of ['api_key', 'absent', 'guarded', 'nothing', 'NO']) await test.app.inject(`/secrets/${name}`);
  const text = await metricsOf(test);
  for (const [decision, count] of [
    ['allowed', 2],
    ['denied', 1],
    ['unknown', 1],
    ['invalid', 1],
  ]) {
    t.ok(text.includes(`mxm_secretsd_decisions_total{decision="${decision}"} ${count}\n`), String(decision));
  }
});

t.test('no label holds the name of a secret or a value', async (t) => {
  const test = testApp(t);
  for (const name of ['api_key', 'guarded', 'a_name_that_nobody_knows']) await test.app.inject(`/secrets/${name}`);
  const text = await metricsOf(test);
  for (const hidden of ['api_key', 'guarded', 'a_name_that_nobody_knows', ...Object.values(ENVIRONMENT)]) {
    t.notOk(text.includes(hidden), hidden);
  }
});
