import type { InjectOptions } from 'fastify';
import t from 'tap';
import { failure } from '../../../src/backends/backend.js';
import { DEFAULT_LIMITS } from '../../../src/limits.js';
import { SecretsError } from '../../../src/domain/errors.js';
import { ENVIRONMENT, IDENTITY, SECRETS_DATA, testApp, type TestApp, type TestAppOptions } from '../../support/app.js';
import { ask } from '../../support/http_client.js';
import { openRaw, requestText, splitAnswers } from '../../support/raw_connection.js';
import { type ScriptedBackend, scriptedBackend } from '../../support/scripted_backend.js';
import { until } from '../../support/until.js';

/** A request whose backend call has begun. */
async function begun(
  t: Parameters<typeof testApp>[0],
  options: TestAppOptions & { backend: ScriptedBackend },
): Promise<{ app: TestApp; path: string; asked: ReturnType<typeof ask>; leave: () => void }> {
  const app = testApp(t, options);
  const path = await app.listen();
  const left = new AbortController();
  const asked = ask(path, '/secrets/api_key', { signal: left.signal });
  asked.catch(() => undefined);
  await until(() => options.backend.calls.length === 1);
  return { app, path, asked, leave: () => left.abort() };
}

t.test('an allowed secret is given', (t) => {
  t.test('as JSON', async (t) => {
    const answer = await testApp(t).app.inject('/secrets/api_key');
    t.equal(answer.statusCode, 200);
    t.equal(answer.payload, '{"name":"api_key","value":"the value"}');
    t.equal(answer.headers['content-type'], 'application/json; charset=utf-8');
    t.equal(answer.headers['content-length'], String(answer.rawPayload.length));
  });

  for (const [accept, type] of [
    ['text/plain', 'text/plain; charset=utf-8'],
    ['application/octet-stream', 'application/octet-stream'],
  ] as const) {
    t.test(`as ${accept}: the bytes of the value alone`, async (t) => {
      const { app } = testApp(t, { environment: { MXM_TEST_API_KEY: ' "é"\n ' } });
      const answer = await app.inject({ url: '/secrets/api_key', headers: { accept } });
      t.equal(answer.statusCode, 200);
      t.equal(answer.rawPayload.toString('utf8'), ' "é"\n ');
      t.equal(answer.headers['content-type'], type);
    });
  }

  t.test('as base64 where it is not UTF-8', async (t) => {
    const backend = scriptedBackend();
    const { asked } = await begun(t, { backend });
    backend.calls[0]?.answer({ ok: true, value: Buffer.of(0xff, 0) });
    t.strictSame((await asked).json, { name: 'api_key', value: '/wA=', encoding: 'base64' });
  });

  t.test('under a name such as objects have by themselves', async (t) => {
    const refs = { constructor: { store: 'constructor', path: 'x', policy: 'constructor' } };
    const stores = { constructor: { backend: 'env', root: 'a' } };
    const policies = { constructor: { allowed_principals: ['constructor'] } };
    const { app, audit } = testApp(t, {
      data: { stores, refs, policies },
      environment: { A_X: 'v' },
      identity: { ...IDENTITY, role: 'constructor' },
    });
    t.strictSame((await app.inject('/secrets/constructor')).json(), { name: 'constructor', value: 'v' });
    t.match(audit, [{ store: 'constructor', policy: 'constructor' }]);
    t.match((await testApp(t).app.inject('/secrets/constructor')).json(), { code: 'unknown_secret' });
  });

  t.test('to several at once by one backend call, each audited by itself', async (t) => {
    const backend = scriptedBackend();
    const { app, path, asked } = await begun(t, { backend });
    const others = [
      ask(path, '/secrets/api_key', { headers: { accept: 'text/plain' } }),
      ask(path, '/secrets/api_key'),
    ];
    let requests = 0;
    app.app.server.on('request', () => (requests += 1));
    await until(() => requests === 2);
    backend.calls[0]?.answer({ ok: true, value: Buffer.from('v') });
    t.same(
      (await Promise.all([asked, ...others])).map(({ text }) => text),
      ['{"name":"api_key","value":"v"}', 'v', '{"name":"api_key","value":"v"}'],
    );
    t.equal(backend.calls.length, 1);
    t.equal(new Set(app.audit.map(({ request_id }) => request_id)).size, 3);
  });
  t.end();
});

t.test('a name counts as it stands in the URL', (t) => {
  const invalid: [string, string?][] = [
    ['', ''],
    ['..'],
    ['.'],
    ['%2e%2e'],
    ['..%2f..%2fetc%2fpasswd'],
    ['%2F'],
    ['api_key%2F'],
    ['%00'],
    ['api_key%00'],
    ['%61pi_key'],
    ['%'],
    ['%zz'],
    ['%25'],
    ['%2561pi_key'],
    ['api_key%0a'],
    ['api%20key'],
    ['api+key'],
    ['-api_key'],
    ['--help'],
    ['_api_key'],
    ['1api_key'],
    ['API_KEY'],
    ['api-key'],
    ['api.key'],
    ['api_key#y'],
    ['api_key;y'],
    ['api_key:y'],
    ['api_key,y'],
    ['*'],
    [':name'],
    ['__proto__'],
    ['toString'],
    ['$(id)'],
    ['caf%C3%A9'],
    ['a'.repeat(129), 'a'.repeat(128)],
    ['a'.repeat(10_000), 'a'.repeat(128)],
    ['%41'.repeat(3_000), '%41'.repeat(43).slice(0, 128)],
  ];
  for (const [name, recorded = name] of invalid) {
    t.test(`${JSON.stringify(name.slice(0, 40))} (${name.length} characters) is no secret name`, async (t) => {
      const backend = scriptedBackend();
      const app = testApp(t, { backend });
      const raw = await openRaw(t, await app.listen());
      raw.socket.write(requestText(`GET /secrets/${name}`, { Connection: 'close' }), 'latin1');
      const [answer] = splitAnswers(await raw.closed());
      t.equal(answer?.status, 400);
      t.match(JSON.parse(answer!.body), { code: 'invalid_secret_name' });
      t.match(app.audit, [{ secret: recorded, decision: 'invalid', outcome: 'invalid_secret_name' }]);
      t.same(backend.calls, []);
    });
  }

  t.test('and 128 characters of the right kind are one', async (t) => {
    for (const name of ['a', 'z9_', 'a'.repeat(128), 'constructor', 'valueof']) {
      const { app, audit } = testApp(t);
      t.match((await app.inject(`/secrets/${name}`)).json(), { code: 'unknown_secret' });
      t.match(audit, [{ secret: name, decision: 'unknown' }]);
    }
  });

  t.test('and not as a folder', async (t) => {
    const { app, audit } = testApp(t);
    for (const url of ['/secrets/api_key/', '/secrets/api_key/x', '/secrets//api_key']) {
      t.match((await app.inject(url)).json(), { code: 'not_found' });
    }
    t.same(audit, []);
  });
  t.end();
});

t.test('what is refused reaches no backend', (t) => {
  for (const [url, code] of [
    ['/secrets/guarded', 'access_denied'],
    ['/secrets/unknown', 'unknown_secret'],
    ['/secrets/A', 'invalid_secret_name'],
    ['/secrets/api_key?x', 'invalid_request'],
  ]) {
    t.test(code!, async (t) => {
      const backend = scriptedBackend();
      const { app } = testApp(t, { backend });
      t.match((await app.inject(url!)).json(), { code });
      t.same(backend.calls, []);
    });
  }
  t.end();
});

t.test('nothing in a request makes another principal of it', async (t) => {
  const { app, audit } = testApp(t);
  const headers = { 'x-role': 'somebody_else', 'x-principal': 'somebody_else', authorization: 'Bearer somebody_else' };
  t.match((await app.inject({ url: '/secrets/guarded', headers })).json(), { code: 'access_denied' });
  t.match(audit, [{ principal: 'marketdata', role: 'marketdata' }]);
});

t.test('the audit record', (t) => {
  const known = { store: 'red', backend: 'env', policy: 'open' };
  const unknown = { store: null, backend: null, policy: null };
  const cases: [string, TestAppOptions & { stopping?: boolean }, { url: string } & InjectOptions, object][] = [
    ['of a value', {}, { url: '/secrets/api_key' }, { decision: 'allowed', outcome: 'ok', ...known }],
    [
      'of a missing entry',
      {},
      { url: '/secrets/absent' },
      { decision: 'allowed', outcome: 'secret_not_found', ...known },
    ],
    [
      'of what is not acceptable',
      {},
      { url: '/secrets/api_key', headers: { accept: 'image/png' } },
      { decision: 'allowed', outcome: 'not_acceptable', ...known },
    ],
    [
      'of a denial',
      {},
      { url: '/secrets/guarded' },
      { decision: 'denied', outcome: 'access_denied', ...known, policy: 'closed' },
    ],
    [
      'of an unknown name',
      {},
      { url: '/secrets/unknown' },
      { decision: 'unknown', outcome: 'unknown_secret', ...unknown },
    ],
    ['of a bad name', {}, { url: '/secrets/A' }, { decision: 'invalid', outcome: 'invalid_secret_name', ...unknown }],
    [
      'of a bad request for a known name',
      {},
      { url: '/secrets/api_key', headers: { via: 'x' } },
      { decision: 'invalid', outcome: 'invalid_request', ...unknown },
    ],
    [
      'while shutting down',
      { stopping: true },
      { url: '/secrets/api_key' },
      { decision: null, outcome: 'shutting_down', ...unknown },
    ],
    [
      'of a defect before the decision',
      {
        serving: (serving) => {
          serving.api.decide = () => {
            throw new Error('canary');
          };
          return serving;
        },
      },
      { url: '/secrets/api_key' },
      { decision: null, outcome: 'internal_error', ...unknown },
    ],
    [
      'of a defect after the decision',
      {
        serving: (serving) => {
          serving.api.retrieve = () => Promise.reject(new Error('canary'));
          return serving;
        },
      },
      { url: '/secrets/api_key' },
      { decision: 'allowed', outcome: 'internal_error', ...known },
    ],
  ];
  for (const [name, { stopping = false, ...options }, request, expected] of cases) {
    t.test(name, async (t) => {
      const { app, audit, drain } = testApp(t, { ...options, logLevel: 'silent' });
      if (stopping) await drain();
      const answer = await app.inject(request);
      t.equal(audit.length, 1);
      const { duration_ms: duration, time, ...record } = audit[0] as TestApp['audit'][number] & { time: string };
      t.strictSame(record, {
        level: 'info',
        event: 'secret_access',
        request_id: answer.headers['x-request-id'],
        secret: request.url.replace('/secrets/', ''),
        principal: 'marketdata',
        role: 'marketdata',
        ...expected,
        peer: null,
      });
      t.ok(duration >= 0 && Number.isFinite(duration));
      t.equal(new Date(time).toISOString(), time);
      t.notMatch(answer.payload, 'canary');
    });
  }

  for (const code of [
    'secret_not_found',
    'backend_failed',
    'backend_unavailable',
    'backend_locked',
    'backend_timeout',
  ] as const) {
    t.test(`of a backend that ended with ${code}; its reason stands in the log`, async (t) => {
      const backend = scriptedBackend();
      const { app, asked } = await begun(t, { backend });
      backend.calls[0]?.answer(failure(code, 'unexpected_answer'));
      const answer = await asked;
      t.match(answer.json, { code });
      t.match(app.audit, [{ decision: 'allowed', outcome: code, ...known }]);
      t.strictSame(
        app.log.map((line) => ({ ...line, time: 'any' })),
        [
          {
            level: 'warn',
            time: 'any',
            event: 'secret_failed',
            request_id: answer.headers['x-request-id'],
            secret: 'api_key',
            store: 'red',
            code,
            reason: 'unexpected_answer',
          },
        ],
      );
      t.notMatch(answer.text, 'unexpected_answer');
    });
  }

  t.test('of a request that found the queue full', async (t) => {
    const backend = scriptedBackend();
    const { app, path, asked } = await begun(t, { backend, limits: { backendConcurrency: 1, queue: 0 } });
    t.match((await ask(path, '/secrets/another')).json, { code: 'overloaded' });
    t.match(app.audit, [{ secret: 'another', decision: 'allowed', outcome: 'overloaded', ...known }]);
    t.same(app.log, []);
    backend.calls[0]?.answer({ ok: true, value: Buffer.from('v') });
    t.equal((await asked).status, 200);
  });

  t.test('of a defect of the backend: the log has its kind, and nobody its message', async (t) => {
    const backend = scriptedBackend();
    const { app, asked } = await begun(t, { backend });
    backend.calls[0]?.fail(new TypeError('canary'));
    const answer = await asked;
    t.match(answer.json, { code: 'internal_error' });
    t.match(app.audit, [{ decision: 'allowed', outcome: 'internal_error' }]);
    t.match(app.log, [{ level: 'error', event: 'defect', request_id: answer.headers['x-request-id'] }]);
    t.notMatch(answer.text + JSON.stringify([app.log, app.audit]), 'canary');
  });

  t.test('is written before a byte of the answer is sent', async (t) => {
    for (const url of ['/secrets/api_key', '/secrets/guarded', '/secrets/unknown', '/secrets/A', '/secrets/api_key?']) {
      const written = new Map<string, (written: boolean) => void>();
      const app = testApp(t, { append: (line) => new Promise((resolve) => written.set(line, resolve)) });
      const path = await app.listen();
      const raw = await openRaw(t, path);
      raw.send(requestText(`GET ${url}`, { Connection: 'close' }));
      await until(() => written.size === 1);
      await ask(path, '/healthz');
      t.equal(raw.received(), '', url);
      for (const [line, resolve] of written) {
        t.match(line, /^\{.*"event":"secret_access".*\}\n$/);
        resolve(true);
      }
      t.match(await raw.closed(), /^HTTP\/1\.1 [24]/);
    }
  });

  t.test('that cannot be written leaves nothing to hand out, whatever the answer would have been', async (t) => {
    for (const request of cases.map(([, , request]) => request)) {
      const { app } = testApp(t, { append: () => Promise.resolve(false) });
      const answer = await app.inject(request);
      t.match(answer.json(), { code: 'audit_unavailable', status: 503, retryable: true });
      t.equal(answer.headers['retry-after'], '1');
      t.notMatch(answer.payload, ENVIRONMENT.MXM_TEST_API_KEY);
    }
  });

  t.test('that cannot be written leaves the value filled with zeros', async (t) => {
    const backend = scriptedBackend();
    const { asked } = await begun(t, { backend, append: () => Promise.resolve(false) });
    const value = Buffer.from('secret');
    backend.calls[0]?.answer({ ok: true, value });
    t.match((await asked).json, { code: 'audit_unavailable' });
    t.ok(value.equals(Buffer.alloc(6)));
  });

  t.test('whose writer has a defect leaves the value filled with zeros', async (t) => {
    const backend = scriptedBackend();
    const { asked } = await begun(t, { backend, append: () => Promise.reject(new Error('canary')) });
    const value = Buffer.from('secret');
    backend.calls[0]?.answer({ ok: true, value });
    t.match((await asked).json, { code: 'internal_error' });
    t.ok(value.equals(Buffer.alloc(6)));
  });

  t.test('stands for each request to the route, and for no other', async (t) => {
    const { app, audit } = testApp(t);
    for (const url of ['/secrets', '/identity', '/healthz', '/readyz', '/nothing', '/secrets/api_key/x'])
      await app.inject(url);
    for (const method of ['POST', 'PUT', 'HEAD', 'OPTIONS', 'DELETE'] as const) {
      await app.inject({ method, url: '/secrets/api_key' });
    }
    t.same(audit, []);
    await app.inject('/secrets/api_key');
    await app.inject('/secrets/api_key');
    t.equal(audit.length, 2);
  });
  t.end();
});

t.test('a caller that leaves', (t) => {
  const ways: [string, (raw: Awaited<ReturnType<typeof openRaw>>) => void][] = [
    ['by closing its connection', (raw) => raw.socket.destroy()],
    ['by closing its half of the connection', (raw) => raw.socket.end()],
  ];
  for (const [way, leave] of ways) {
    t.test(`${way} frees its place, and is recorded as cancelled`, async (t) => {
      const backend = scriptedBackend();
      const app = testApp(t, { backend, limits: { backendConcurrency: 1, queue: 0 } });
      const path = await app.listen();
      const raw = await openRaw(t, path);
      raw.send(requestText('GET /secrets/api_key'));
      await until(() => backend.calls.length === 1);
      leave(raw);
      await until(() => app.audit.length === 1);
      t.match(app.audit, [{ secret: 'api_key', decision: 'allowed', outcome: 'cancelled', store: 'red' }]);
      t.ok(backend.calls[0]?.request.signal.aborted);
      t.equal(await raw.closed(), '');

      const value = Buffer.from('secret');
      backend.calls[0]?.answer({ ok: true, value });
      await until(() => value.equals(Buffer.alloc(6)));
      const next = ask(path, '/secrets/another');
      await until(() => backend.calls.length === 2);
      backend.calls[1]?.answer({ ok: true, value: Buffer.from('v') });
      t.equal((await next).status, 200);
      t.same(app.log, []);
    });
  }

  t.test('takes nothing from the others that ask for the same', async (t) => {
    const backend = scriptedBackend();
    const { app, path, asked, leave } = await begun(t, { backend });
    const other = ask(path, '/secrets/api_key');
    await new Promise((resolve) => app.app.server.once('request', resolve));
    leave();
    await t.rejects(asked);
    await until(() => app.audit.length === 1);
    backend.calls[0]?.answer({ ok: true, value: Buffer.from('v') });
    t.match((await other).json, { value: 'v' });
    t.match(app.audit, [{ outcome: 'cancelled' }, { outcome: 'ok' }]);
  });

  t.test('while the record is written gets nothing, and the body is filled with zeros', async (t) => {
    let finish: ((written: boolean) => void) | undefined;
    const app = testApp(t, { append: () => new Promise((resolve) => (finish = resolve)) });
    const bodies = capturedBodies(app);
    const raw = await openRaw(t, await app.listen());
    raw.send(requestText('GET /secrets/api_key'));
    await until(() => finish !== undefined);
    raw.socket.destroy();
    await app.drain();
    finish?.(true);
    await until(() => bodies.length === 1);
    t.ok(bodies[0]?.equals(Buffer.alloc(bodies[0].length)));
  });
  t.end();
});

/** The bodies as they are handed to Node, the very Buffers. */
function capturedBodies({ app }: TestApp): Buffer[] {
  const bodies: Buffer[] = [];
  app.server.prependListener('request', (_request, response) => {
    const end = response.end.bind(response) as (body: Buffer) => typeof response;
    response.end = ((body: Buffer) => {
      bodies.push(body);
      return end(body);
    }) as typeof response.end;
  });
  return bodies;
}

t.test('the body of an answer', (t) => {
  const LARGE = 8 * 1_048_576;
  const large = (): Buffer => Buffer.alloc(LARGE, 'secret! ');

  for (const accept of ['application/json', 'text/plain', 'application/octet-stream']) {
    t.test(`is filled with zeros once it has gone out as ${accept}`, async (t) => {
      const backend = scriptedBackend();
      const app = testApp(t, { backend });
      const bodies = capturedBodies(app);
      const asked = ask(await app.listen(), '/secrets/api_key', { headers: { accept } });
      await until(() => backend.calls.length === 1);
      const value = Buffer.from('secret');
      backend.calls[0]?.answer({ ok: true, value });
      t.match((await asked).text, 'secret');
      await app.drain();
      t.ok(value.equals(Buffer.alloc(6)));
      t.ok(bodies[0]?.equals(Buffer.alloc(bodies[0].length)));
    });
  }

  t.test('is whole until a slow reader has taken it', async (t) => {
    const backend = scriptedBackend();
    const app = testApp(t, { backend, limits: { ...DEFAULT_LIMITS, maxValueBytes: LARGE } });
    const bodies = capturedBodies(app);
    const raw = await openRaw(t, await app.listen());
    raw.send(requestText('GET /secrets/api_key', { Accept: 'text/plain', Connection: 'close' }));
    await until(() => backend.calls.length === 1);
    raw.socket.pause();
    backend.calls[0]?.answer({ ok: true, value: large() });
    await until(() => bodies.length === 1);
    await ask(app.app.server.address() as string, '/healthz');
    t.ok(bodies[0]?.equals(large()));
    raw.socket.resume();
    const received = await raw.closed();
    t.ok(received.endsWith(large().toString('latin1')));
    await app.drain();
    t.ok(bodies[0]?.equals(Buffer.alloc(LARGE)));
  });

  t.test('is filled with zeros when its reader leaves in the middle', async (t) => {
    const backend = scriptedBackend();
    const app = testApp(t, { backend, limits: { ...DEFAULT_LIMITS, maxValueBytes: LARGE } });
    const bodies = capturedBodies(app);
    const raw = await openRaw(t, await app.listen());
    raw.send(requestText('GET /secrets/api_key', { Accept: 'text/plain' }));
    await until(() => backend.calls.length === 1);
    raw.socket.pause();
    backend.calls[0]?.answer({ ok: true, value: large() });
    await until(() => bodies.length === 1);
    raw.socket.destroy();
    await app.drain();
    t.ok(bodies[0]?.equals(Buffer.alloc(LARGE)));
    t.same(app.log, []);
  });

  t.test('is filled with zeros when it waits behind another and their caller leaves', async (t) => {
    const backend = scriptedBackend();
    const app = testApp(t, { backend });
    const bodies = capturedBodies(app);
    const raw = await openRaw(t, await app.listen());
    raw.send(requestText('GET /secrets/api_key') + requestText('GET /secrets/another'));
    await until(() => backend.calls.length === 2);
    backend.calls[1]?.answer({ ok: true, value: Buffer.from('secret') });
    await until(() => bodies.length === 1);
    t.match(bodies[0]?.toString('utf8'), 'secret');
    raw.socket.destroy();
    await app.drain();
    t.ok(bodies[0]?.equals(Buffer.alloc(bodies[0].length)));
  });
  t.end();
});

t.test('an error of the pipeline that carries a reason is told by its code', async (t) => {
  const { app, log } = testApp(t, {
    data: SECRETS_DATA,
    serving: (serving) => {
      serving.api.retrieve = () => Promise.reject(new SecretsError('backend_failed', 'decrypt_failed'));
      return serving;
    },
  });
  t.match((await app.inject('/secrets/api_key')).json(), { code: 'backend_failed' });
  t.match(log, [{ code: 'backend_failed', reason: 'decrypt_failed' }]);
});
