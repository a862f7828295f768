import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import t from 'tap';
import { SecretsClient, SecretsClientError, SecretsError } from '../../src/client/client.js';
import { ERROR_CODES, isRetryable } from '../../src/domain/errors.js';
import { STATUS_OF } from '../../src/http/status.js';
import { testApp } from '../support/app.js';
import { problemListener, rawServer, respond, scriptedServer, socketIn } from '../support/scripted_server.js';
import { until } from '../support/until.js';

async function refusalOf(promise: Promise<unknown>): Promise<SecretsClientError> {
  const error: unknown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (error instanceof SecretsClientError) return error;
  throw new Error('not refused', { cause: error });
}

t.test('a value comes as text, or as bytes that are the caller’s', async (t) => {
  const client = new SecretsClient({ socketPath: await testApp(t).listen() });
  const text: string = await client.get('api_key');
  t.equal(text, 'the value');
  t.equal(await client.get('api_key', { as: 'string' }), 'the value');
  const bytes: Buffer = await client.get('api_key', { as: 'bytes' });
  t.same(bytes, Buffer.from('the value'));
});

t.test('what the daemon refuses is a SecretsError with its code, status and whether to try again', async (t) => {
  for (const code of ERROR_CODES) {
    const client = new SecretsClient({ socketPath: await scriptedServer(t, problemListener(code)) });
    const error = await refusalOf(client.get('api_key'));
    t.ok(error instanceof SecretsError);
    t.same([error.code, error.status, error.retryable], [code, STATUS_OF[code], isRetryable(code)]);
    t.ok(error.message.startsWith(`${code}: `), error.message);
  }
});

t.test('a name that is none is refused without asking', async (t) => {
  const error = await refusalOf(new SecretsClient({ socketPath: '/nowhere' }).get('../etc'));
  t.same([error.code, error.status, error.retryable], ['invalid_secret_name', null, false]);
});

t.test('a socket that is not named, or whose path no address can hold, is refused before anything is asked', (t) => {
  // Without one Node would ask port 80; of one that is too long it may cut the path, and ask whoever is there.
  for (const socketPath of [undefined as unknown as string, '', `/${'s'.repeat(107)}`]) {
    t.throws(() => new SecretsClient({ socketPath }), TypeError);
  }
  t.doesNotThrow(() => new SecretsClient({ socketPath: `/${'s'.repeat(106)}` }));
  t.end();
});

t.test('a time to try again that is no number is refused, as it would never be over', (t) => {
  for (const retryForMs of [NaN, -1]) {
    t.throws(() => new SecretsClient({ socketPath: '/s', retryForMs }), TypeError, String(retryForMs));
  }
  t.doesNotThrow(() => new SecretsClient({ socketPath: '/s', retryForMs: Infinity }));
  t.end();
});

t.test('a daemon that is not there is `backend_unavailable`, and worth another try', async (t) => {
  const socketPath = socketIn(t);
  const error = await refusalOf(new SecretsClient({ socketPath }).get('api_key'));
  t.same([error.code, error.status, error.retryable], ['backend_unavailable', null, true]);
  t.match(error.message, /no daemon answers at .*s\.sock \(ENOENT\)/);
});

t.test('something else at the socket is `backend_failed`', async (t) => {
  const others = [
    await rawServer(t, (socket) => socket.end('SSH-2.0-OpenSSH\r\n')),
    await scriptedServer(t, (_request, response) => response.end('hello')),
    await scriptedServer(t, (_request, response) => respond(response, 200, 'text/html', '<p>')),
    await scriptedServer(t, (_request, response) => respond(response, 503, 'application/problem+json', '{"code":7}')),
  ];
  for (const socketPath of others) {
    const error = await refusalOf(new SecretsClient({ socketPath }).get('api_key'));
    t.same([error.code, error.status, error.retryable], ['backend_failed', null, false]);
  }
});

t.test('a code of a newer daemon is `internal_error`, with what it says of another try', async (t) => {
  const body = '{"code":"moon_phase","retryable":true}';
  const socketPath = await scriptedServer(t, (_request, response) =>
    respond(response, 503, 'application/problem+json', body),
  );
  const error = await refusalOf(new SecretsClient({ socketPath }).get('api_key'));
  t.same([error.code, error.status, error.retryable], ['internal_error', 503, true]);
  t.match(error.message, 'moon_phase');
});

t.test('a value that is not UTF-8 is no string', async (t) => {
  const value = Buffer.from([0xff, 0xfe]);
  const socketPath = await scriptedServer(t, (_request, response) =>
    respond(response, 200, 'application/octet-stream', value),
  );
  const client = new SecretsClient({ socketPath });
  t.equal((await refusalOf(client.get('api_key'))).code, 'not_acceptable');
  t.same(await client.get('api_key', { as: 'bytes' }), value);
});

t.test('with `retryForMs` it tries again while that may help', async (t) => {
  const socketPath = socketIn(t);
  const client = new SecretsClient({ socketPath, retryForMs: 60_000 });
  const value = client.get('api_key');
  let asked = 0;
  const server = createServer((request, response) => {
    asked += 1;
    if (asked === 1) problemListener('overloaded')(request, response);
    else respond(response, 200, 'application/octet-stream', 'at last');
  });
  server.listen(socketPath);
  t.teardown(() => server.close());
  t.equal(await value, 'at last');
  t.equal(asked, 2);
});

t.test('what does not change by itself is not asked for again', async (t) => {
  let asked = 0;
  const socketPath = await scriptedServer(t, (request, response) => {
    asked += 1;
    problemListener('access_denied')(request, response);
  });
  t.equal(
    (await refusalOf(new SecretsClient({ socketPath, retryForMs: 60_000 }).get('api_key'))).code,
    'access_denied',
  );
  t.equal(asked, 1);
});

t.test('an aborted signal ends the call with its reason, before, while it waits and between two tries', async (t) => {
  const reason = new Error('enough');
  let asked = 0;
  const silent = await rawServer(t, () => (asked += 1));
  const before = new SecretsClient({ socketPath: silent }).get('api_key', { signal: AbortSignal.abort(reason) });
  await t.rejects(before, reason);
  t.equal(asked, 0);

  const waiting = new AbortController();
  const answer = new SecretsClient({ socketPath: silent }).get('api_key', { signal: waiting.signal });
  await until(() => asked === 1);
  waiting.abort(reason);
  await t.rejects(answer, reason);

  const pausing = new AbortController();
  const absent = new SecretsClient({ socketPath: socketIn(t), retryForMs: 60_000 });
  const later = absent.get('api_key', { signal: pausing.signal });
  setImmediate(() => pausing.abort(reason));
  await t.rejects(later, reason);
});

t.test('a program that imports it loads nothing but Node and four files of this package', (t) => {
  const seen = new Set<string>();
  const follow = (file: URL): void => {
    if (seen.has(file.href)) return;
    seen.add(file.href);
    for (const [, name = ''] of readFileSync(file, 'utf8').matchAll(/^(?:im|ex)port .* from '(.*)';$/gm)) {
      if (name.startsWith('node:')) continue;
      t.ok(name.startsWith('.'), name);
      follow(new URL(name.replace(/\.js$/, '.ts'), file));
    }
  };
  follow(new URL('../../src/client/client.ts', import.meta.url));
  t.same([...seen].map((file) => file.split('/src/')[1]).sort(), [
    'client/ask.ts',
    'client/client.ts',
    'domain/errors.ts',
    'domain/identifier.ts',
  ]);
  t.end();
});
