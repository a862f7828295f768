import { once } from 'node:events';
import t, { type Test } from 'tap';
import { testApp } from '../support/app.js';
import { openRaw, requestText, splitAnswers } from '../support/raw_connection.js';
import { until } from '../support/until.js';

const RULED = ['/secrets/api_key', '/secrets', '/identity'];
const HEALTH = ['/healthz', '/readyz'];

/** The statuses of all that one connection answers to these bytes. */
async function statuses(t: Test, ...bytes: string[]): Promise<number[]> {
  const raw = await openRaw(t, await testApp(t).listen());
  for (const part of bytes) raw.send(part);
  return splitAnswers(await raw.closed()).map(({ status }) => status);
}

t.test('a forwarding header', (t) => {
  for (const name of [
    'Forwarded',
    'forwarded',
    'Via',
    'VIA',
    'X-Forwarded-For',
    'X-Forwarded-Host',
    'X-Forwarded-Proto',
    'X-Forwarded-Port',
    'X-Forwarded-Anything',
    'x-forwarded-',
  ]) {
    t.test(`${name} is refused on every route but the health routes, whatever it says`, async (t) => {
      const { app } = testApp(t);
      for (const value of ['for=1.2.3.4', '']) {
        for (const url of RULED) {
          const answer = await app.inject({ url, headers: { [name]: value } });
          t.match(answer.json(), { code: 'invalid_request', status: 400 });
        }
        for (const url of HEALTH) t.equal((await app.inject({ url, headers: { [name]: value } })).statusCode, 200);
      }
    });
  }

  t.test('is none by resemblance', async (t) => {
    const { app } = testApp(t);
    for (const name of ['X-Forwarded', 'Forwarded-For', 'X-Real-IP', 'X-Via', 'Via-', 'constructor', '__proto__']) {
      t.equal((await app.inject({ url: '/identity', headers: { [name]: 'x' } })).statusCode, 200, name);
    }
  });

  t.test('does not hide behind as many headers as fit', async (t) => {
    const request = `GET /identity HTTP/1.1\r\nHost: l\r\nConnection: close\r\n${'a:\r\n'.repeat(3_000)}Via: x\r\n\r\n`;
    t.same(await statuses(t, request), [400]);
  });
  t.end();
});

t.test('a query string', (t) => {
  for (const query of ['?', '?x', '?x=1', '??', '?/secrets/api_key', '?#', '?%']) {
    t.test(`${query} is refused on every route but the health routes`, async (t) => {
      const path = await testApp(t).listen();
      const raw = await openRaw(t, path);
      for (const url of [...RULED, ...HEALTH]) raw.send(requestText(`GET ${url}${query}`));
      raw.send(requestText('GET http://localhost/identity?', { Connection: 'close' }));
      const answers = splitAnswers(await raw.closed());
      t.same(
        answers.map(({ status }) => status),
        [...RULED.map(() => 400), ...HEALTH.map(() => 200), 400],
      );
      t.match(JSON.parse(answers[0]!.body), { code: 'invalid_request' });
    });
  }

  t.test('is none where the question mark is encoded: that is a name', async (t) => {
    const { app } = testApp(t);
    t.match((await app.inject({ url: '/secrets/api_key%3F' })).json(), { code: 'invalid_secret_name' });
  });
  t.end();
});

t.test('a body', (t) => {
  const last = requestText('GET /identity', { Connection: 'close' });
  const chunked = { 'Transfer-Encoding': 'chunked' };

  for (const url of RULED) {
    t.test(`of more than 0 bytes is refused on ${url}`, async (t) => {
      const answers = await statuses(
        t,
        requestText(`GET ${url}`, { 'Content-Length': '1' }) + 'x',
        requestText(`GET ${url}`, { 'Content-Length': '0001' }) + 'x',
        requestText(`GET ${url}`, chunked) + '1\r\nx\r\n0\r\n\r\n',
        requestText(`GET ${url}`, chunked) + '1\r\nx\r\n1\r\ny\r\n0\r\nTrailer: x\r\n\r\n',
        last,
      );
      t.same(answers, [400, 400, 400, 400, 200]);
    });

    t.test(`of 0 bytes is none on ${url}, however it is told`, async (t) => {
      const answers = await statuses(
        t,
        requestText(`GET ${url}`, { 'Content-Length': '0' }),
        requestText(`GET ${url}`, { 'Content-Length': '000' }),
        requestText(`GET ${url}`, chunked) + '0\r\n\r\n',
        requestText(`GET ${url}`, chunked) + '0;extension=x\r\nTrailer: x\r\n\r\n',
        last,
      );
      t.same(answers, [200, 200, 200, 200, 200]);
    });
  }

  for (const url of HEALTH) {
    t.test(`is nothing to ${url}`, async (t) => {
      const answers = await statuses(
        t,
        requestText(`GET ${url}`, { 'Content-Length': '1' }) + 'x',
        requestText(`GET ${url}`, chunked) + '1\r\nx\r\n0\r\n\r\n',
        last,
      );
      t.same(answers, [200, 200, 200]);
    });
  }

  t.test('in chunks is refused as soon as it turns out not to be empty', async (t) => {
    const raw = await openRaw(t, await testApp(t).listen());
    raw.send(requestText('GET /identity', chunked));
    raw.send('1\r\nx\r\n');
    await raw.receives('invalid_request');
    t.pass();
  });

  for (const [name, headers, body] of [
    ['in a coding that HTTP leaves out', { 'Transfer-Encoding': 'gzip' }, ''],
    ['in a coding that is none', { 'Transfer-Encoding': 'identity' }, ''],
    ['in a chunk without a size', chunked, 'ZZ\r\n'],
    ['with extensions that are too long', chunked, `2;${'x'.repeat(20_000)}\r\n`],
  ] as const) {
    for (const url of RULED) {
      t.test(`${name} is refused on ${url}, and the connection is closed`, async (t) => {
        const raw = await openRaw(t, await testApp(t).listen());
        raw.send(requestText('GET /healthz') + requestText(`GET ${url}`, headers) + body);
        const [, answer, ...more] = splitAnswers(await raw.closed());
        t.match(answer, { status: 400, body: /"code":"invalid_request"/ });
        t.equal(answer?.headers.get('connection'), 'close');
        t.same(more, []);
      });
    }
  }

  t.test('that the parser refuses has its audit record before its answer', async (t) => {
    let write: ((written: boolean) => void) | undefined;
    const app = testApp(t, { append: () => new Promise((resolve) => (write = resolve)) });
    const path = await app.listen();
    const raw = await openRaw(t, path);
    raw.send(requestText('GET /secrets/api_key', { 'Transfer-Encoding': 'gzip' }));
    await until(() => write !== undefined);
    await statuses(t, last);
    t.equal(raw.received(), '');
    write?.(true);
    const [answer] = splitAnswers(await raw.closed());
    t.equal(answer?.status, 400);
    t.match(app.audit, [
      { decision: 'invalid', outcome: 'invalid_request', request_id: answer?.headers.get('x-request-id'), store: null },
    ]);
  });

  t.test('in chunks whose end has not come at the time limit is refused', async (t) => {
    const app = testApp(t);
    const { server } = app.app;
    Object.assign(server, { connectionsCheckingInterval: 5 });
    const raw = await openRaw(t, await app.listen());
    raw.send(requestText('GET /secrets/api_key', chunked));
    await once(server, 'request');
    Object.assign(server, { requestTimeout: 20, headersTimeout: 20 }); // not before, however slow the machine is
    t.match(splitAnswers(await raw.closed()), [{ status: 400, body: /"code":"invalid_request"/ }]);
    t.match(app.audit, [{ decision: 'invalid', outcome: 'invalid_request' }]);
  });

  t.test('in chunks whose sender sends no more is refused', async (t) => {
    const app = testApp(t);
    const raw = await openRaw(t, await app.listen());
    raw.send(requestText('GET /secrets/api_key', chunked));
    raw.socket.end();
    t.match(splitAnswers(await raw.closed()), [{ status: 400, body: /"code":"invalid_request"/ }]);
    t.match(app.audit, [{ decision: 'invalid', outcome: 'invalid_request' }]);
  });

  t.test('in chunks whose connection is gone ends the request, and nothing is decided', async (t) => {
    const app = testApp(t);
    const raw = await openRaw(t, await app.listen());
    raw.send(requestText('GET /secrets/api_key', chunked));
    const received = new Promise((resolve) => app.app.server.once('request', resolve));
    await received;
    await app.disconnect();
    t.match(app.audit, [{ decision: null, outcome: 'cancelled', store: null }]);
    await app.drain();
  });
  t.end();
});
