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

  t.test('in chunks whose end never comes leaves the answer to the parser, at the time limit', async (t) => {
    const app = testApp(t);
    const { server } = app.app;
    Object.assign(server, { connectionsCheckingInterval: 5 });
    const raw = await openRaw(t, await app.listen());
    raw.send(requestText('GET /secrets/api_key', chunked));
    await once(server, 'request');
    Object.assign(server, { requestTimeout: 20, headersTimeout: 20 }); // not before, however slow the machine is
    t.same(
      splitAnswers(await raw.closed()).map(({ status }) => status),
      [408],
    );
    await until(() => app.audit.length === 1);
    t.match(app.audit, [{ outcome: 'cancelled' }]);
  });

  t.test('in chunks whose sender leaves ends the request', async (t) => {
    const app = testApp(t);
    const raw = await openRaw(t, await app.listen());
    raw.send(requestText('GET /secrets/api_key', chunked));
    const received = new Promise((resolve) => app.app.server.once('request', resolve));
    await received;
    raw.socket.destroy();
    await until(() => app.audit.length === 1);
    t.match(app.audit, [{ outcome: 'cancelled' }]);
    await app.drain();
  });
  t.end();
});
