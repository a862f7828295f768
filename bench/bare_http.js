// The least that Node does for an answer: `node bare_http.js SOCKET ANSWERS`.
import { createServer } from 'node:http';
import { KEEP_ALIVE_MS, readAnswers } from './bare_answers.js';

const [, , socket, file] = process.argv;
const answers = readAnswers(file);

createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (request, response) => {
  const { status, headers, body } = answers.get(request.url);
  response.writeHead(status, headers).end(body);
}).listen(socket);
