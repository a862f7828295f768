import { once } from 'node:events';
import { IncomingMessage, ServerResponse } from 'node:http';
import { connect, Socket } from 'node:net';
import t from 'tap';
import { createExchanges } from '../../src/http/exchanges.js';
import { refuseParserError } from '../../src/http/parser_error.js';
import { createOpenConnections } from '../../src/http/open_connections.js';
import { testApp } from '../support/app.js';
import { openRaw, requestText, splitAnswers } from '../support/raw_connection.js';
import { scriptedBackend } from '../support/scripted_backend.js';
import { ask } from '../support/http_client.js';
import { until } from '../support/until.js';

const HEAD = 'GET /secrets/api_key HTTP/1.1\r\nHost: localhost\r\n';

t.test('what is no HTTP is refused without the headers of an answer, and the connection is closed', async (t) => {
  const app = testApp(t);
  const path = await app.listen();
  const cases: [string, number, string | Buffer][] = [
    ['words', 400, 'hello daemon\r\n\r\n'],
    ['NUL bytes', 400, Buffer.alloc(64)],
    ['a TLS handshake', 400, Buffer.from('16030100c8010000c40303', 'hex')],
    ['the preface of HTTP/2', 400, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['another version', 400, 'GET / HTTP/9.9\r\nHost: l\r\n\r\n'],
    ['a method that there is not', 400, 'FETCH / HTTP/1.1\r\nHost: l\r\n\r\n'],
    ['a method in lower case', 400, 'get / HTTP/1.1\r\nHost: l\r\n\r\n'],
    ['a target that is no path', 400, 'GET secrets HTTP/1.1\r\nHost: l\r\n\r\n'],
    ['a target with a space', 400, 'GET /secrets/api key HTTP/1.1\r\nHost: l\r\n\r\n'],
    ['a target with a control character', 400, 'GET /secrets/\x01 HTTP/1.1\r\nHost: l\r\n\r\n'],
    ['a target with a NUL', 400, 'GET /secrets/api_key\0 HTTP/1.1\r\nHost: l\r\n\r\n'],
    ['a target with bytes beyond ASCII', 400, 'GET /secrets/café HTTP/1.1\r\nHost: l\r\n\r\n'],
    ['a target with a fragment', 400, 'GET http://l#/secrets/api_key HTTP/1.1\r\nHost: l\r\n\r\n'],
    ['no Host', 400, 'GET /healthz HTTP/1.1\r\n\r\n'],
    ['a header without a colon', 400, `${HEAD}Accept\r\n\r\n`],
    ['a space before the colon', 400, `${HEAD}Accept : x\r\n\r\n`],
    ['a NUL in a header', 400, `${HEAD}Accept: \0\r\n\r\n`],
    ['a length that is no number', 400, `${HEAD}Content-Length: x\r\n\r\n`],
    ['a negative length', 400, `${HEAD}Content-Length: -1\r\n\r\n`],
    ['two lengths', 400, `${HEAD}Content-Length: 1\r\nContent-Length: 2\r\n\r\nx`],
    ['a length and chunks', 400, `${HEAD}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['a header block that is too large', 431, `${HEAD}Cookie: ${'x'.repeat(20_000)}\r\n\r\n`],
    ['a target that is too long', 431, `GET /secrets/${'x'.repeat(20_000)} HTTP/1.1\r\nHost: l\r\n\r\n`],
  ];
  for (const [name, status, bytes] of cases) {
    t.test(`${name}: ${status}`, async (t) => {
      const raw = await openRaw(t, path);
      raw.send(bytes);
      const received = await raw.closed();
      t.match(received, new RegExp(`^HTTP/1\\.1 ${status} [A-Z]`));
      t.match(received, /\r\nConnection: close\r\n/i);
      t.equal(received.split('HTTP/1.1').length, 2, 'one answer');
      t.notMatch(received, /x-request-id|problem/i);
    });
  }
  t.equal((await ask(path, '/healthz')).status, 200);
  t.same(app.audit, [], 'none of it was a request');
});

t.test('the refusal has no body and must not be kept', async (t) => {
  const raw = await openRaw(t, await testApp(t).listen());
  raw.send('hello\r\n\r\n');
  t.equal(
    await raw.closed(),
    'HTTP/1.1 400 Bad Request\r\nCache-Control: no-store\r\nContent-Length: 0\r\nConnection: close\r\n\r\n',
  );
});

t.test('the connection is closed even if the caller keeps its half open', async (t) => {
  const { app, listen } = testApp(t);
  const socket = connect({ path: await listen(), allowHalfOpen: true });
  t.teardown(() => socket.destroy());
  socket.write('hello\r\n\r\n');
  socket.resume();
  await once(socket, 'end');
  let open = 1;
  await until(() => {
    app.server.getConnections((_error, count) => (open = count));
    return open === 0;
  });
  t.notOk(socket.writableEnded);
});

t.test('a connection that has ended is told nothing', (t) => {
  const socket = new Socket();
  const written = t.capture(socket, 'write');
  socket.destroy();
  const parts = { exchanges: createExchanges(createOpenConnections()), finishing: false, timeoutMs: 1_000 };
  refuseParserError({ code: 'HPE_INVALID_METHOD' }, socket, parts);
  t.same(written(), []);
  t.end();
});

t.test('a request that is never completed is refused with 408 once its time is up', async (t) => {
  const { app, listen } = testApp(t);
  Object.assign(app.server, { requestTimeout: 20, headersTimeout: 20, connectionsCheckingInterval: 5 });
  const path = await listen();
  for (const start of ['', 'GET', 'GET /secrets/api_key HTTP/1.1\r\n', HEAD]) {
    const raw = await openRaw(t, path);
    if (start !== '') raw.send(start);
    t.match(await raw.closed(), /^HTTP\/1\.1 408 Request Timeout\r\n/);
  }
});

t.test('a body that is refused', (t) => {
  const chunked = { 'Transfer-Encoding': 'chunked' };
  const tooLong = `2;${'x'.repeat(20_000)}\r\n`;

  t.test('by the parser is one more answer only where its request has got one already', async (t) => {
    const raw = await openRaw(t, await testApp(t).listen());
    raw.send(requestText('GET /healthz', chunked));
    await raw.receives('"ok"');
    raw.send(tooLong);
    t.same(
      splitAnswers(await raw.closed()).map(({ status }) => status),
      [200, 413],
    );
  });

  t.test('takes nothing from an answer that is on its way', async (t) => {
    for (const target of ['/healthz', '/secrets/api_key?', '/nope']) {
      const raw = await openRaw(t, await testApp(t).listen());
      raw.send(requestText(`GET ${target}`, chunked) + tooLong);
      t.equal(splitAnswers(await raw.closed()).length, 1, target);
    }
  });

  t.test('is of no interest where its sender has left', (t) => {
    const exchanges = createExchanges(createOpenConnections());
    const socket = new Socket();
    const request = new IncomingMessage(socket);
    exchanges.begin(request, new ServerResponse(request));
    socket.destroy();
    const told = t.capture(request, 'emit');
    refuseParserError({ code: 'ECONNRESET' }, socket, { exchanges, finishing: false, timeoutMs: 1_000 });
    t.same(told(), []);
    t.end();
  });
  t.end();
});

t.test('garbage behind a request', (t) => {
  t.test('takes nothing from the answer to it, and is refused after that', async (t) => {
    const backend = scriptedBackend();
    const path = await testApp(t, { backend }).listen();
    const raw = await openRaw(t, path);
    raw.send(requestText('GET /secrets/api_key') + 'hello\r\n\r\n');
    await until(() => backend.calls.length === 1);
    raw.send('more of it\r\n\r\n');
    await ask(path, '/healthz');
    t.equal(raw.received(), '');
    backend.calls[0]?.answer({ ok: true, value: Buffer.from('v') });
    const answers = splitAnswers(await raw.closed());
    t.same(
      answers.map(({ status, body }) => [status, body]),
      [
        [200, '{"name":"api_key","value":"v"}'],
        [400, ''],
      ],
    );
  });

  t.test('waits once for the answer, however much of it comes', async (t) => {
    const backend = scriptedBackend();
    const path = await testApp(t, { backend }).listen();
    const raw = await openRaw(t, path);
    const warnings: Error[] = [];
    const warned = (warning: Error): void => void warnings.push(warning);
    process.on('warning', warned);
    t.teardown(() => process.off('warning', warned));
    raw.send(requestText('GET /secrets/api_key') + 'hello\r\n\r\n');
    await until(() => backend.calls.length === 1);
    for (let piece = 0; piece < 20; piece += 1) {
      raw.send('more of it\r\n\r\n');
      await ask(path, '/healthz');
    }
    t.same(warnings, [], 'Node counts listeners');
  });

  t.test('is refused by itself where the answer has gone out', async (t) => {
    const raw = await openRaw(t, await testApp(t).listen());
    raw.send(requestText('GET /healthz'));
    await raw.receives('"ok"');
    raw.send('hello\r\n\r\n');
    t.same(
      splitAnswers(await raw.closed()).map(({ status }) => status),
      [200, 400],
    );
  });

  t.test('is forgotten where the caller leaves', async (t) => {
    const backend = scriptedBackend();
    const app = testApp(t, { backend });
    const raw = await openRaw(t, await app.listen());
    raw.send(requestText('GET /secrets/api_key') + 'hello\r\n\r\n');
    await until(() => backend.calls.length === 1);
    raw.socket.destroy();
    await app.drain();
    t.ok(backend.calls[0]?.request.signal.aborted);
  });

  t.test('is not told again where the connection is being closed anyway', async (t) => {
    const raw = await openRaw(t, await testApp(t).listen());
    raw.send(requestText('GET /healthz', { Connection: 'close' }) + 'hello\r\n\r\n');
    t.same(
      splitAnswers(await raw.closed()).map(({ status }) => status),
      [200],
    );
  });
  t.end();
});
