import t from 'tap';
import { SECRETS_DATA, testApp } from '../../support/app.js';
import { ask } from '../../support/http_client.js';
import { scriptedBackend } from '../../support/scripted_backend.js';
import { until } from '../../support/until.js';

const MISSING_BINARY = { backend: 'gopass', root: 'mxm', binary: '/nonexistent/gopass' };

t.test('/healthz says ok while the process serves', async (t) => {
  const answer = await testApp(t).app.inject('/healthz');
  t.equal(answer.statusCode, 200);
  t.equal(answer.payload, '{"status":"ok"}');
  t.equal(answer.headers['content-type'], 'application/json; charset=utf-8');
});

t.test('/readyz is 200 where every store is ready', async (t) => {
  const { app, log } = testApp(t);
  const answer = await app.inject('/readyz');
  t.equal(answer.statusCode, 200);
  t.strictSame(answer.json(), {
    status: 'ready',
    stores: { red: { backend: 'env', status: 'ready' } },
    config: { digest: 'sha256:0', loaded_at: '1970-01-01T00:00:00.000Z', last_error: null },
  });
  t.same(log, []);
});

t.test('/readyz is 503 where one is not; why stands in the log alone', async (t) => {
  const data = { ...SECRETS_DATA, stores: { ...SECRETS_DATA.stores, blue: MISSING_BINARY } };
  const { app, log } = testApp(t, { data });
  const answer = await app.inject('/readyz');
  t.equal(answer.statusCode, 503);
  t.equal(answer.headers['content-type'], 'application/json; charset=utf-8');
  t.strictSame(answer.json<{ status: string; stores: object }>().status, 'unready');
  t.strictSame(answer.json<{ status: string; stores: object }>().stores, {
    red: { backend: 'env', status: 'ready' },
    blue: { backend: 'gopass', status: 'unready', code: 'backend_unavailable' },
  });
  t.match(log, [
    {
      level: 'warn',
      event: 'store_unready',
      request_id: answer.headers['x-request-id'],
      store: 'blue',
      backend: 'gopass',
      code: 'backend_unavailable',
      reason: 'binary_missing',
    },
  ]);
  t.notMatch(answer.payload, /binary_missing|nonexistent|mxm/);
});

t.test('/readyz knows stores by any name, and none at all', async (t) => {
  const policies = {};
  const named = { stores: { constructor: { backend: 'env', root: 'a' }, valueof: MISSING_BINARY }, refs: {}, policies };
  t.match(
    (await testApp(t, { data: named }).app.inject('/readyz')).payload,
    '"stores":{"constructor":{"backend":"env","status":"ready"},"valueof":{"backend":"gopass","status":"unready","code":"backend_unavailable"}}',
  );
  const none = await testApp(t, { data: { stores: {}, refs: {}, policies } }).app.inject('/readyz');
  t.match(none.json(), { status: 'ready', stores: {} });
});

t.test('both are answered whatever the load', async (t) => {
  const backend = scriptedBackend();
  const path = await testApp(t, { backend, limits: { backendConcurrency: 1, queue: 0 } }).listen();
  const running = ask(path, '/secrets/api_key');
  await until(() => backend.calls.length === 1);
  t.match((await ask(path, '/secrets/another')).json, { code: 'overloaded' });
  t.equal((await ask(path, '/healthz')).status, 200);
  t.equal((await ask(path, '/readyz')).status, 200);
  backend.calls[0]?.answer({ ok: true, value: Buffer.from('v') });
  t.equal((await running).status, 200);
});

t.test('both say that the daemon is shutting down', async (t) => {
  const { app, drain } = testApp(t);
  await drain();
  for (const url of ['/healthz', '/readyz']) t.match((await app.inject(url)).json(), { code: 'shutting_down' });
});
