import t from 'tap';
import { IDENTITY, testApp } from '../../support/app.js';

t.test('the identity of the daemon and its principal, without the keys that are not set', async (t) => {
  const answer = await testApp(t).app.inject('/identity');
  t.equal(answer.statusCode, 200);
  t.equal(answer.headers['content-type'], 'application/json; charset=utf-8');
  t.equal(
    answer.payload,
    '{"identity":{"machine":"bridge","environment":"dev","role":"marketdata"},"principal":"marketdata"}',
  );
});

t.test('the identity with all its keys', async (t) => {
  const identity = { ...IDENTITY, role: 'research', app: 'mxm-moneymachine', substrate: 'local-process' };
  const answer = await testApp(t, { identity }).app.inject('/identity');
  t.strictSame(answer.json(), { identity, principal: 'research' });
});

t.test('nothing in a request changes it', async (t) => {
  const { app } = testApp(t);
  const said = 'research';
  const headers = {
    'x-role': said,
    'x-principal': said,
    'x-identity': JSON.stringify({ role: said }),
    'x-mxm-role': said,
    authorization: `Basic ${Buffer.from(`${said}:`).toString('base64')}`,
    cookie: `role=${said}`,
    from: said,
    'user-agent': said,
    host: said,
  };
  t.match((await app.inject({ url: '/identity', headers })).json(), { identity: IDENTITY, principal: 'marketdata' });
});
