import { readFileSync } from 'node:fs';
import t from 'tap';
import { testApp } from '../../support/app.js';

t.test('the document that ships is served as it is', async (t) => {
  const answer = await testApp(t).app.inject('/openapi.json');
  t.equal(answer.statusCode, 200);
  t.equal(answer.headers['content-type'], 'application/json; charset=utf-8');
  t.equal(answer.payload, readFileSync(new URL('../../../schema/openapi.json', import.meta.url), 'utf8'));
});
