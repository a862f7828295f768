import { once } from 'node:events';
import { METHODS } from 'node:http';
import type { Socket } from 'node:net';
import type { InjectOptions, LightMyRequestResponse } from 'fastify';
import fc from 'fast-check';
import t from 'tap';
import { failure } from '../../src/backends/backend.js';
import { describeError, ERROR_CODES, type ErrorCode } from '../../src/domain/errors.js';
import { testApp, type TestApp, type TestAppOptions } from '../support/app.js';
import { ask } from '../support/http_client.js';
import { openRaw, requestText, splitAnswers } from '../support/raw_connection.js';
import { scriptedBackend } from '../support/scripted_backend.js';
import { until } from '../support/until.js';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const ROUTES = ['/secrets/api_key', '/secrets', '/identity', '/healthz', '/readyz'];
const OTHER_METHODS = METHODS.filter((method) => method !== 'GET');

t.test('headers of every answer', (t) => {
  const cases: [string, InjectOptions][] = [
    ['a secret', { url: '/secrets/api_key' }],
    ['the bytes of a secret', { url: '/secrets/api_key', headers: { accept: 'text/plain' } }],
    ['the names', { url: '/secrets' }],
    ['the identity', { url: '/identity' }],
    ['liveness', { url: '/healthz' }],
    ['readiness', { url: '/readyz' }],
    ['a bad request', { url: '/identity?x' }],
    ['a bad name', { url: '/secrets/-' }],
    ['a denied secret', { url: '/secrets/guarded' }],
    ['a missing secret', { url: '/secrets/absent' }],
    ['no route', { url: '/nothing' }],
    [
      'no route, with a body of an unknown type',
      { method: 'POST', url: '/no', payload: 'x', headers: { 'content-type': 'a/b' } },
    ],
    ['another method', { method: 'DELETE', url: '/secrets/api_key' }],
    ['another method, with a body', { method: 'POST', url: '/identity', payload: { a: 1 } }],
    [
      'another method, with a body that its type belies',
      { method: 'PUT', url: '/identity', payload: '{', headers: { 'content-type': 'application/json' } },
    ],
  ];
  for (const [name, request] of cases) {
    t.test(`${name}: no-store and a request id of the daemon's own`, async (t) => {
      const { app } = testApp(t);
      const ids = new Set<unknown>();
      for (const attempt of ['one', 'two']) {
        const headers = { ...request.headers, 'x-request-id': 'mine', 'request-id': attempt };
        const answer = await app.inject({ ...request, headers });
        t.equal(answer.headers['cache-control'], 'no-store');
        t.match(answer.headers['x-request-id'], UUID);
        ids.add(answer.headers['x-request-id']);
        if (answer.statusCode >= 400)
          t.equal(answer.json<{ request_id: string }>().request_id, answer.headers['x-request-id']);
      }
      t.equal(ids.size, 2);
    });
  }
  t.end();
});

t.test('targets that are no route are not found, whatever else they resemble', async (t) => {
  const app = testApp(t);
  const path = await app.listen();
  const targets = [
    '/',
    '/secret',
    '/SECRETS/api_key',
    '/Healthz',
    '//secrets/api_key',
    '//secrets',
    '/secrets//api_key',
    '/secrets/api_key/',
    '/secrets/api_key/x',
    '/%73ecrets/api_key',
    '/secrets%2Fapi_key',
    '/secrets;v=1/api_key',
    '/./secrets/api_key',
    '/identity/../secrets/api_key',
    '/healthz/',
    '/healthz#top',
    '/healthz%20',
    '/*',
    '/constructor',
    '/__proto__',
    'http://localhost',
    'http://localhost/',
    'http://localhost//secrets/api_key',
    'http:///secrets/api_key',
    'ftp://localhost/secrets/api_key',
    'file:///secrets/api_key',
  ];
  for (const target of targets) {
    t.test(target, async (t) => {
      const raw = await openRaw(t, path);
      raw.send(requestText(`GET ${target}`, { Connection: 'close' }));
      const [answer] = splitAnswers(await raw.closed());
      t.equal(answer?.status, 404);
      t.match(JSON.parse(answer!.body), { code: 'not_found' });
      t.equal(answer?.headers.get('cache-control'), 'no-store');
      t.match(answer?.headers.get('x-request-id'), UUID);
      t.same(app.audit, []);
    });
  }

  for (const target of ['OPTIONS *', 'CONNECT localhost:80', 'CONNECT secrets:80']) {
    t.test(target, async (t) => {
      const raw = await openRaw(t, path);
      raw.send(requestText(target, { Connection: 'close' }));
      const [answer] = splitAnswers(await raw.closed());
      t.match(JSON.parse(answer!.body), { code: 'not_found' });
      t.match(answer?.headers.get('x-request-id'), UUID);
    });
  }
});

t.test('a target in absolute form means its path, whatever host it names', async (t) => {
  const path = await testApp(t).listen();
  for (const target of ['http://localhost/identity', 'HTTPS://a%41b:1/identity', 'http://u:p@[::1]/identity']) {
    const raw = await openRaw(t, path);
    raw.send(requestText(`GET ${target}`, { Connection: 'close' }));
    t.equal(splitAnswers(await raw.closed())[0]?.status, 200, target);
  }
});

t.test('methods other than GET', (t) => {
  for (const url of ROUTES) {
    t.test(`on ${url} are not allowed, and leave no audit record`, async (t) => {
      const { app, audit } = testApp(t);
      for (const method of OTHER_METHODS) {
        const answer = await app.inject({ method, url });
        t.equal(answer.statusCode, 405, method);
        t.equal(answer.headers['allow'], 'GET');
        t.equal(answer.headers['content-type'], 'application/problem+json');
        if (method !== 'HEAD') t.match(answer.json(), { code: 'method_not_allowed' });
      }
      t.same(audit, []);
    });
  }

  t.test('are refused over the socket too, and what follows on the connection is answered', async (t) => {
    const app = testApp(t);
    const path = await app.listen();
    const raw = await openRaw(t, path);
    const methods = OTHER_METHODS.filter((method) => method !== 'CONNECT' && method !== 'HEAD');
    for (const method of methods) raw.send(requestText(`${method} /secrets/api_key`));
    raw.send(requestText('GET /secrets/api_key', { Connection: 'close' }));
    const statuses = splitAnswers(await raw.closed()).map(({ status }) => status);
    t.same(statuses, [...methods.map(() => 405), 200]);
  });

  t.test('HEAD gets the headers of the refusal and no body', async (t) => {
    const backend = scriptedBackend();
    const path = await testApp(t, { backend }).listen();
    const raw = await openRaw(t, path);
    raw.send(requestText('HEAD /secrets/api_key', { Connection: 'close' }));
    const received = await raw.closed();
    t.match(received, /^HTTP\/1\.1 405 /);
    t.match(received, /\r\n\r\n$/);
    t.same(backend.calls, []);
  });

  t.test('CONNECT is answered like the others, in its turn, and the connection is closed', async (t) => {
    const backend = scriptedBackend();
    const path = await testApp(t, { backend }).listen();
    const raw = await openRaw(t, path);
    raw.send(requestText('GET /secrets/api_key') + requestText('CONNECT /secrets/api_key') + 'bytes of the tunnel');
    await until(() => backend.calls.length === 1);
    backend.calls[0]?.answer({ ok: true, value: Buffer.from('v') });
    const answers = splitAnswers(await raw.closed());
    t.same(
      answers.map(({ status }) => status),
      [200, 405],
    );
    t.equal(answers[1]?.headers.get('connection'), 'close');
    t.equal(answers[1]?.headers.get('allow'), 'GET');
    t.match(answers[1]?.headers.get('x-request-id'), UUID);
  });

  t.test('a caller that leaves behind a CONNECT does no harm, and is not served', async (t) => {
    const backend = scriptedBackend();
    const app = testApp(t, { backend });
    const served: string[] = [];
    app.app.addHook('onSend', (request, _reply, _payload, done) => {
      served.push(request.method);
      done();
    });
    const path = await app.listen();
    const raw = await openRaw(t, path);
    raw.send(requestText('GET /secrets/api_key') + requestText('CONNECT localhost:80'));
    await until(() => backend.calls.length === 1);
    raw.socket.destroy();
    backend.calls[0]?.answer({ ok: true, value: Buffer.from('v') });
    await app.drain();
    t.equal((await ask(path, '/healthz')).json['code'], 'shutting_down');
    t.notOk(served.includes('CONNECT'));
  });

  for (const [name, headers, body] of [
    ['of a known length', { 'Content-Length': '300000' }, 'x'.repeat(300_000)],
    ['in chunks', { 'Transfer-Encoding': 'chunked' }, `493e0\r\n${'x'.repeat(300_000)}\r\n0\r\n\r\n`],
  ] as const) {
    for (const [target, status] of [
      ['POST /secrets/api_key', 405],
      ['POST /nothing', 404],
      ['GET /nothing', 404],
      ['GET /secrets/api_key', 400],
      ['GET /identity', 400],
      ['GET /healthz', 200],
    ] as const) {
      t.test(`${target} with a body ${name}: ${status}, and the connection goes on behind the body`, async (t) => {
        const path = await testApp(t).listen();
        const raw = await openRaw(t, path);
        raw.send(requestText(target, { ...headers, 'Content-Type': 'x/y' }) + body);
        raw.send(requestText('GET /secrets/api_key', { Connection: 'close' }));
        t.same(
          splitAnswers(await raw.closed()).map((answer) => answer.status),
          [status, 200],
        );
      });
    }
  }
  t.end();
});

t.test('the first that applies is the answer', (t) => {
  const refusing = { accept: 'image/png' };
  const forwarded = { via: 'x', ...refusing };
  const cases: [ErrorCode, { stopping?: boolean } & InjectOptions][] = [
    ['not_found', { stopping: true, method: 'POST', url: '/secrets/A/b?q', payload: 'x', headers: forwarded }],
    ['method_not_allowed', { stopping: true, method: 'POST', url: '/secrets/A?q', payload: 'x', headers: forwarded }],
    ['shutting_down', { stopping: true, method: 'GET', url: '/secrets/A?q', headers: forwarded }],
    ['invalid_request', { method: 'GET', url: '/secrets/A?q', headers: refusing }],
    ['invalid_request', { method: 'GET', url: '/secrets/unknown', headers: forwarded }],
    ['invalid_request', { method: 'GET', url: '/secrets/guarded', headers: forwarded }],
    ['invalid_secret_name', { method: 'GET', url: '/secrets/A', headers: refusing }],
    ['unknown_secret', { method: 'GET', url: '/secrets/unknown', headers: refusing }],
    ['access_denied', { method: 'GET', url: '/secrets/guarded', headers: refusing }],
    ['not_acceptable', { method: 'GET', url: '/secrets/api_key', headers: refusing }],
  ];
  for (const [code, { stopping = false, ...request }] of cases) {
    t.test(`${code}, before all that follows, and without a backend`, async (t) => {
      const backend = scriptedBackend();
      const { app, drain } = testApp(t, { backend });
      if (stopping) await drain();
      t.equal((await app.inject(request)).json<{ code: string }>().code, code);
      t.same(backend.calls, []);
    });
  }

  t.test('only then a backend is asked', async (t) => {
    const backend = scriptedBackend();
    const { app } = testApp(t, { backend });
    const asked = app.inject({ url: '/secrets/api_key' });
    await until(() => backend.calls.length === 1);
    backend.calls[0]?.answer(failure('backend_failed', 'decrypt_failed'));
    t.match((await asked).json(), { code: 'backend_failed' });
  });
  t.end();
});

interface Produced {
  readonly status: number;
  readonly retryable: boolean;
  readonly headers?: Record<string, string>;
  readonly options?: TestAppOptions;
  readonly produce: (app: TestApp) => Promise<LightMyRequestResponse>;
}

const get =
  (url: string, headers = {}) =>
  (app: TestApp) =>
    app.app.inject({ url, headers });

/** Asks for a secret of a backend that ends so. */
function ofBackend(
  code: Parameters<typeof failure>[0],
  reason: Parameters<typeof failure>[1],
): Pick<Produced, 'options' | 'produce'> {
  const backend = scriptedBackend();
  return {
    options: { backend },
    async produce({ app }) {
      const asked = app.inject({ url: '/secrets/api_key' });
      await until(() => backend.calls.length === 1);
      backend.calls[0]?.answer(failure(code, reason));
      return asked;
    },
  };
}

function ofFullQueue(): Pick<Produced, 'options' | 'produce'> {
  const backend = scriptedBackend();
  return {
    options: { backend, limits: { backendConcurrency: 1, queue: 0 } },
    async produce({ app }) {
      const first = app.inject({ url: '/secrets/api_key' });
      await until(() => backend.calls.length === 1);
      const refused = await app.inject({ url: '/secrets/another' });
      backend.calls[0]?.answer({ ok: true, value: Buffer.from('v') });
      await first;
      return refused;
    },
  };
}

const retryAfter = { 'retry-after': '1' };

const PRODUCED: Record<ErrorCode, Produced> = {
  invalid_secret_name: { status: 400, retryable: false, produce: get('/secrets/A') },
  invalid_request: { status: 400, retryable: false, produce: get('/secrets?x') },
  access_denied: { status: 403, retryable: false, produce: get('/secrets/guarded') },
  peer_denied: { status: 403, retryable: false, options: { allow: { uids: [], gids: [] } }, produce: get('/secrets') },
  unknown_secret: { status: 404, retryable: false, produce: get('/secrets/unknown') },
  secret_not_found: { status: 404, retryable: false, produce: get('/secrets/absent') },
  not_found: { status: 404, retryable: false, produce: get('/nothing') },
  method_not_allowed: {
    status: 405,
    retryable: false,
    headers: { allow: 'GET' },
    produce: ({ app }) => app.inject({ method: 'PATCH', url: '/secrets' }),
  },
  not_acceptable: { status: 406, retryable: false, produce: get('/secrets/api_key', { accept: 'text/html' }) },
  internal_error: {
    status: 500,
    retryable: false,
    options: {
      serving: (serving) => {
        serving.api.names = () => {
          throw new Error('canary');
        };
        return serving;
      },
    },
    produce: get('/secrets'),
  },
  backend_failed: { status: 502, retryable: false, ...ofBackend('backend_failed', 'decrypt_failed') },
  backend_unavailable: {
    status: 503,
    retryable: true,
    headers: retryAfter,
    ...ofBackend('backend_unavailable', 'binary_missing'),
  },
  backend_locked: { status: 503, retryable: true, headers: retryAfter, ...ofBackend('backend_locked', 'key_locked') },
  overloaded: { status: 503, retryable: true, headers: retryAfter, ...ofFullQueue() },
  audit_unavailable: {
    status: 503,
    retryable: true,
    headers: retryAfter,
    options: { append: () => Promise.resolve(false) },
    produce: get('/secrets/api_key'),
  },
  shutting_down: {
    status: 503,
    retryable: true,
    headers: { ...retryAfter, connection: 'close' },
    async produce({ app, drain }) {
      await drain();
      return app.inject({ url: '/identity' });
    },
  },
  backend_timeout: { status: 504, retryable: true, ...ofBackend('backend_timeout', 'timeout') },
};

t.test('every code as a problem', (t) => {
  for (const code of ERROR_CODES) {
    t.test(code, async (t) => {
      const { status, retryable, headers = {}, options, produce } = PRODUCED[code];
      const answer = await produce(testApp(t, options));
      const { title, text } = describeError(code);
      t.equal(answer.statusCode, status);
      t.strictSame(answer.json(), {
        title,
        status,
        detail: text,
        code,
        retryable,
        request_id: answer.headers['x-request-id'],
      });
      t.equal(answer.headers['content-type'], 'application/problem+json');
      t.equal(answer.headers['content-length'], String(answer.rawPayload.length));
      t.equal(answer.headers['cache-control'], 'no-store');
      t.match(answer.headers['x-request-id'], UUID);
      for (const name of ['allow', 'retry-after']) t.equal(answer.headers[name], headers[name], name);
      t.equal(answer.headers['connection'], headers['connection'] ?? 'keep-alive');
    });
  }
  t.end();
});

t.test('a defect', (t) => {
  const broken = (thrown: unknown): TestAppOptions => ({
    serving: (serving) => {
      serving.api.names = () => {
        throw thrown;
      };
      return serving;
    },
  });

  t.test('is logged by its kind and the request id alone', async (t) => {
    const { app, log } = testApp(t, broken(new TypeError('canary at /var/lib/canary')));
    const answer = await app.inject({ url: '/secrets' });
    t.match(log, [{ level: 'error', event: 'defect', request_id: answer.headers['x-request-id'], error: 'TypeError' }]);
    t.notMatch(answer.payload + JSON.stringify(answer.headers) + JSON.stringify(log), 'canary');
  });

  t.test('may throw anything, even what claims another status', async (t) => {
    for (const thrown of ['canary', Object.assign(new Error('canary'), { statusCode: 200 }), { statusCode: 404 }]) {
      const { app, log } = testApp(t, broken(thrown));
      const answer = await app.inject({ url: '/secrets' });
      t.equal(answer.statusCode, 500);
      t.notMatch(answer.payload + JSON.stringify(log), 'canary');
    }
  });

  t.test('that comes before a request is judged has the headers too', async (t) => {
    const { app } = testApp(t, {
      serving: () => {
        throw new Error('canary');
      },
    });
    const answer = await app.inject({ url: '/identity' });
    t.match(answer.json(), { code: 'internal_error', request_id: answer.headers['x-request-id'] });
    t.equal(answer.headers['cache-control'], 'no-store');
    t.match(answer.headers['x-request-id'], UUID);
  });
  t.end();
});

t.test('what is not complete after 30 s is closed, and callers learn that what is idle is after 60 s', (t) => {
  const { app } = testApp(t);
  t.match(app.server, {
    requestTimeout: 30_000,
    headersTimeout: 30_000,
    keepAliveTimeout: 60_000,
    connectionsCheckingInterval: 1_000,
  });
  t.end();
});

t.test('a connection on which nothing is asked after an answer is closed, and Node sets no timer for it', async (t) => {
  const app = testApp(t, { idleTimeoutMs: 150 });
  const path = await app.listen();
  const socket = once(app.app.server, 'connection');
  const raw = await openRaw(t, path);
  raw.send(requestText('GET /healthz'));
  const answer = await until(() => (raw.received() === '' ? undefined : raw.received()));
  t.match(answer, /^Keep-Alive: timeout=60\r$/m);
  const [served] = (await socket) as [Socket];
  t.equal(served.timeout, undefined);
  t.equal(await raw.closed(), answer);
});

t.test('pipelined requests are answered in order', async (t) => {
  const backend = scriptedBackend();
  const path = await testApp(t, { backend }).listen();
  const raw = await openRaw(t, path);
  raw.send(['GET /secrets/api_key', 'GET /secrets/another', 'GET /identity'].map((line) => requestText(line)).join(''));
  raw.send(requestText('GET /secrets/A', { Connection: 'close' }));
  await until(() => backend.calls.length === 2);
  backend.calls[1]?.answer({ ok: true, value: Buffer.from('second') });
  await ask(path, '/healthz');
  t.equal(raw.received(), '', 'no answer overtakes the first');
  backend.calls[0]?.answer({ ok: true, value: Buffer.from('first') });
  const answers = splitAnswers(await raw.closed()).map(({ body }) => JSON.parse(body) as unknown);
  t.match(answers, [
    { value: 'first' },
    { value: 'second' },
    { principal: 'marketdata' },
    { code: 'invalid_secret_name' },
  ]);
});

t.test('a caller that sends on and on without an answer is cut off, and nothing more of it is looked at', async (t) => {
  const backend = scriptedBackend();
  const app = testApp(t, { backend });
  const path = await app.listen();
  const raw = await openRaw(t, path);
  raw.send(requestText('GET /secrets/api_key').repeat(1_000));
  t.equal(await raw.closed(), '');
  await app.drain();
  t.equal(app.audit.length, 128);
  t.equal((await ask(path, '/healthz')).status, 503, 'draining');
});

t.test('draining', (t) => {
  t.test('ends at once where nothing is in flight', async (t) => {
    const { drain } = testApp(t);
    await drain();
    t.pass();
  });

  t.test('lets a request in flight finish, and refuses later ones on connections that are open', async (t) => {
    const backend = scriptedBackend();
    const app = testApp(t, { backend });
    const path = await app.listen();
    const kept = await openRaw(t, path);
    kept.send(requestText('GET /identity'));
    await kept.receives('principal');
    const inFlight = ask(path, '/secrets/api_key');
    await until(() => backend.calls.length === 1);

    let drained = false;
    const draining = app.drain().then(() => (drained = true));
    const before = kept.received().length;
    kept.send(requestText('GET /secrets/another'));
    const [refused] = splitAnswers((await kept.closed()).slice(before));
    t.equal(refused?.headers.get('connection'), 'close');
    t.match(JSON.parse(refused!.body), { code: 'shutting_down', retryable: true });
    t.match(app.audit, [{ secret: 'another', decision: null, outcome: 'shutting_down' }]);
    t.equal(drained, false);

    backend.calls[0]?.answer({ ok: true, value: Buffer.from('v') });
    t.match((await inFlight).json, { value: 'v' });
    await draining;
  });

  t.test('does not wait for pipelined requests whose caller has left', async (t) => {
    const backend = scriptedBackend();
    const app = testApp(t, { backend });
    const path = await app.listen();
    const raw = await openRaw(t, path);
    raw.send(requestText('GET /secrets/api_key') + requestText('GET /secrets/another'));
    await until(() => backend.calls.length === 2);
    raw.socket.destroy();
    await app.drain();
    t.ok(backend.calls.every(({ request }) => request.signal.aborted));
    for (const call of backend.calls) call.answer({ ok: true, value: Buffer.from('v') });
    await until(() => app.audit.length === 2);
    t.match(app.audit, [{ outcome: 'cancelled' }, { outcome: 'cancelled' }]);
  });

  t.test('may be asked for twice', async (t) => {
    const backend = scriptedBackend();
    const app = testApp(t, { backend });
    const asked = ask(await app.listen(), '/secrets/api_key');
    await until(() => backend.calls.length === 1);
    const drains = [app.drain(), app.drain()];
    backend.calls[0]?.answer({ ok: true, value: Buffer.from('v') });
    await Promise.all(drains);
    t.equal((await asked).status, 200);
  });
  t.end();
});

t.test('an expectation that the daemon does not know is refused with 417 and the connection closed', async (t) => {
  const app = testApp(t);
  const raw = await openRaw(t, await app.listen());
  raw.send(requestText('GET /secrets/api_key', { Expect: 'a miracle' }));
  const answers = splitAnswers(await raw.closed());
  t.same(
    answers.map(({ status }) => status),
    [417],
  );
  t.equal(answers[0]?.headers.get('connection'), 'close');
  t.equal(answers[0]?.headers.get('cache-control'), 'no-store');
  t.same(
    app.audit.filter(({ outcome }) => outcome === 'ok'),
    [],
  );
});

t.test('a CONNECT behind a refusal that closes the connection does no harm', async (t) => {
  const path = await testApp(t).listen();
  for (const refused of [requestText('GET /', { Expect: 'a miracle' }), 'GET / HTTP/1.1\r\n\r\n']) {
    const raw = await openRaw(t, path);
    raw.send(refused + requestText('CONNECT /secrets'));
    t.equal(splitAnswers(await raw.closed()).length, 1);
  }
  t.equal((await ask(path, '/healthz')).status, 200);
});

t.test('a request of HTTP/1.1 without Host is refused bare, and one of HTTP/1.0 is not', async (t) => {
  const app = testApp(t);
  const path = await app.listen();
  for (const target of ['/secrets/api_key', '/nope', '/healthz']) {
    const raw = await openRaw(t, path);
    raw.send(`GET ${target} HTTP/1.1\r\n\r\n`);
    const [answer, ...more] = splitAnswers(await raw.closed());
    t.same(more, []);
    t.match(answer, { status: 400, body: '' });
    t.equal(answer?.headers.get('connection'), 'close');
    t.equal(answer?.headers.get('cache-control'), 'no-store');
  }
  t.same(app.audit, []);
  const raw = await openRaw(t, path);
  raw.send('GET /secrets/api_key HTTP/1.0\r\n\r\n');
  t.match(splitAnswers(await raw.closed()), [{ status: 200 }]);
});

t.test('a caller that waits for 100 Continue is told the refusal of its body in place of it', async (t) => {
  const path = await testApp(t).listen();
  for (const framing of [{ 'Content-Length': '3' }, { 'Transfer-Encoding': 'chunked' }]) {
    const raw = await openRaw(t, path);
    raw.send(requestText('GET /secrets/api_key', { Expect: '100-continue', ...framing }));
    await raw.receives('invalid_request');
    t.match(raw.received(), /^HTTP\/1\.1 400 /);
    t.match(splitAnswers(await raw.closed()), [{ status: 400 }]);
  }
});

t.test('a caller that asks for 100 Continue behind another request gets both answers whole', async (t) => {
  const raw = await openRaw(t, await testApp(t).listen());
  raw.send(requestText('GET /secrets') + requestText('POST /secrets/api_key', { Expect: '100-continue' }));
  const answers = splitAnswers(await raw.closed());
  t.same(
    answers.map(({ status }) => status),
    [200, 405],
  );
  t.match(JSON.parse(answers[1]!.body), { code: 'method_not_allowed' });
});

t.test('a request to upgrade the connection is answered as if it had not asked', async (t) => {
  const raw = await openRaw(t, await testApp(t).listen());
  raw.send(requestText('GET /identity', { Connection: 'Upgrade', Upgrade: 'websocket' }));
  await raw.receives('"principal":"marketdata"');
  t.match(raw.received(), /^HTTP\/1\.1 200 /);
});

t.test('what the same packet brings behind a request to upgrade is lost to Node, and its sender is told', async (t) => {
  const raw = await openRaw(t, await testApp(t).listen());
  raw.send(requestText('GET /identity', { Connection: 'Upgrade', Upgrade: 'h2c' }) + requestText('GET /secrets'));
  const [answer, ...more] = splitAnswers(await raw.closed());
  t.match(answer, { status: 200 });
  t.equal(answer?.headers.get('connection'), 'close');
  t.same(more, []);
});

t.test('an answer that is not taken ends its connection, whatever it says', async (t) => {
  for (const request of [
    requestText('GET /secrets/api_key'),
    requestText('GET /nope'),
    requestText('GET /', { Expect: 'a miracle' }),
    requestText('CONNECT /secrets'),
    'GET / HTTP/1.1\r\n\r\n',
    'no HTTP\r\n\r\n',
  ]) {
    const { app, listen, drain } = testApp(t, { answerTimeoutMs: 50 });
    const path = await listen();
    let closed = false;
    app.server.on('connection', (socket) => {
      socket.write(Buffer.alloc(4_000_000)); // more than is on its way at once, so that nothing behind it leaves
      socket.once('close', () => (closed = true));
    });
    const raw = await openRaw(t, path);
    raw.socket.pause();
    raw.send(request);
    await until(() => closed);
    await drain();
  }
});

t.test('whatever comes in, and whenever its sender leaves, the daemon goes on and can be drained', async (t) => {
  const app = testApp(t);
  const path = await app.listen();
  const chunked = { 'Transfer-Encoding': 'chunked' };
  const piece = fc.constantFrom(
    requestText('GET /secrets/api_key'),
    requestText('GET /secrets/api_key', { Connection: 'close' }),
    requestText('GET /secrets/api_key', chunked),
    requestText('GET /secrets/api_key', { Expect: '100-continue', 'Content-Length': '3' }),
    requestText('GET /secrets/api_key', { Expect: 'a miracle' }),
    requestText('GET /secrets/api_key', { Connection: 'upgrade', Upgrade: 'x' }),
    requestText('POST /secrets/api_key', chunked),
    requestText('HEAD /identity'),
    requestText('CONNECT /secrets/api_key'),
    requestText('CONNECT localhost:80'),
    requestText('OPTIONS *'),
    '3\r\nabc\r\n',
    '0\r\n\r\n',
    'abc',
    'hello\r\n\r\n',
  );
  const sent = fc.array(fc.oneof(piece, fc.constant('turn')), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(sent, fc.boolean(), fc.boolean(), async (pieces, halfCloses, reads) => {
      const raw = await openRaw(t, path);
      if (!reads) raw.socket.pause();
      for (const bytes of pieces) {
        if (bytes === 'turn') await ask(path, '/healthz');
        else raw.send(bytes);
      }
      if (halfCloses) raw.socket.end();
      raw.socket.destroy();
      t.equal((await ask(path, '/healthz')).status, 200);
    }),
    { numRuns: 60 },
  );
  await app.drain();
  t.same(app.log, []);
});

t.test('a schema for requests, which nothing would hold them to, is a defect of the routes', async (t) => {
  const { app } = testApp(t);
  app.get('/ruled', { schema: { querystring: { type: 'object' } } }, () => 'never');
  await t.rejects(Promise.resolve(app.ready()), /a route has a schema for its requests/);
});
