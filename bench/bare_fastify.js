// A route of Fastify that does nothing: `node bare_fastify.js SOCKET ANSWERS`.
import fastify from 'fastify';
import { KEEP_ALIVE_MS, readAnswers } from './bare_answers.js';

const [, , socket, file] = process.argv;
const answers = readAnswers(file);

const app = fastify({ logger: false, keepAliveTimeout: KEEP_ALIVE_MS });
app.get('/secrets/:name', (request, reply) => {
  const { status, headers, body } = answers.get(request.raw.url);
  reply.code(status).headers(headers).send(body);
});
await app.listen({ path: socket });
