import t from 'tap';
import { IDENTITY, testApp } from '../../support/app.js';

const ref = (policy: string): object => ({ store: 'red', path: 'x', policy });

const DATA = {
  stores: { red: { backend: 'env', root: 'mxm' } },
  refs: {
    zeta: ref('open'),
    alpha_2: ref('both'),
    alpha_10: ref('open'),
    constructor: ref('open'),
    theirs: ref('closed'),
    nobodys: ref('nobody'),
  },
  policies: {
    open: { allowed_principals: ['marketdata'] },
    both: { allowed_principals: ['research', 'marketdata'] },
    closed: { allowed_principals: ['research'] },
    nobody: { allowed_principals: [] },
  },
};

t.test('the names that this identity may read, sorted', async (t) => {
  const answer = await testApp(t, { data: DATA }).app.inject('/secrets');
  t.equal(answer.statusCode, 200);
  t.equal(answer.headers['content-type'], 'application/json; charset=utf-8');
  t.equal(answer.payload, '{"secrets":["alpha_10","alpha_2","constructor","zeta"]}');
});

t.test('another identity has other names', async (t) => {
  const { app } = testApp(t, { data: DATA, identity: { ...IDENTITY, role: 'research' } });
  t.strictSame((await app.inject('/secrets')).json(), { secrets: ['alpha_2', 'theirs'] });
});

t.test('who may read nothing gets an empty list', async (t) => {
  const { app } = testApp(t, { data: DATA, identity: { ...IDENTITY, role: 'stranger' } });
  t.strictSame((await app.inject('/secrets')).json(), { secrets: [] });
});

t.test('the list is always JSON, and no access to a secret', async (t) => {
  const { app, audit } = testApp(t, { data: DATA });
  const answer = await app.inject({ url: '/secrets', headers: { accept: 'image/png' } });
  t.equal(answer.headers['content-type'], 'application/json; charset=utf-8');
  t.same(audit, []);
});
