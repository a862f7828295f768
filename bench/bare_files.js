// Reads a file for each answer: `node bare_files.js SOCKET FOLDER`.
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { KEEP_ALIVE_MS } from './bare_answers.js';

const [, , socket, folder] = process.argv;

createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, async (request, response) => {
  const body = await readFile(join(folder, request.url));
  response.writeHead(200, { 'Content-Type': 'application/octet-stream', 'Content-Length': body.length }).end(body);
}).listen(socket);
