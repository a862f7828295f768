import { fastify } from 'fastify';
import t from 'tap';
import { sendProblem } from '../../src/http/problem.js';

t.test('a problem is RFC 9457, with no charset and nothing but the texts of its code', async (t) => {
  const app = fastify({ genReqId: () => 'id' });
  app.get('/', (_request, reply) => sendProblem(reply, 'access_denied'));
  t.teardown(() => app.close());
  const answer = await app.inject('/');
  t.equal(answer.headers['content-type'], 'application/problem+json');
  t.strictSame(answer.json(), {
    title: 'Access denied',
    status: 403,
    detail: 'the policy of this secret does not list the principal of this daemon',
    code: 'access_denied',
    retryable: false,
    request_id: 'id',
  });
});
