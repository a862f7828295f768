import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { answers, type Callers, requestFor, startCallers } from '../../bench/load.js';
import { nodeProgram } from '../support/node.js';
import { onPath } from '../support/real_component.js';
import { respond, scriptedServer, socketIn } from '../support/scripted_server.js';
import { temporaryFolder } from '../support/temporary.js';

const IN_NODE = nodeProgram(fileURLToPath(new URL('../../bench/load_in_node.ts', import.meta.url)));

/** The same for both kinds of callers. */
function both(name: string, act: (t: Test, callers: Callers) => Promise<void>): void {
  const skip = onPath('cc') === undefined ? 'there is no cc' : false;
  t.test(`in C: ${name}`, { skip }, (t) => act(t, startCallers(t)));
  t.test(`in Node: ${name}`, (t) => act(t, startCallers(t, process.env, IN_NODE)));
}

both('each caller asks its own request, on kept connections and on one each', async (t, callers) => {
  const asked: (string | undefined)[] = [];
  let connections = new Set();
  const socket = await scriptedServer(t, ({ url, socket }, response) => {
    asked.push(url);
    connections.add(socket);
    respond(response, 200, 'text/plain', 'x'.repeat(100_000));
  });
  const requests = ['/a', '/b'].map((path) => requestFor(path));
  const once = await callers.load({ socket, callers: 4, ms: 0, requests });
  t.equal(once.latencies.length, 4);
  t.same(asked.sort(), ['/a', '/a', '/b', '/b']);

  connections = new Set();
  const kept = await callers.load({ socket, callers: 2, ms: 50, requests });
  t.equal(connections.size, 2);
  t.ok(kept.latencies.length >= 2);

  connections = new Set();
  const fresh = await callers.load({ socket, fresh: true, ms: 50, requests });
  t.equal(connections.size, fresh.latencies.length);
});

both('an answer by 503 is counted and has no latency', async (t, callers) => {
  let asked = 0;
  const socket = await scriptedServer(t, (_request, response) =>
    respond(response, ++asked === 1 ? 503 : 200, 'text/plain', 'x'),
  );
  const before = answers.refused;
  const { latencies } = await callers.load({ socket, ms: 20, requests: [requestFor('/')] });
  t.equal(answers.refused - before, 1);
  t.equal(latencies.length, asked - 1);
});

both('an answer of another status is an error', async (t, callers) => {
  const socket = await scriptedServer(t, (_request, response) => respond(response, 403, 'text/plain', 'no'));
  await t.rejects(callers.load({ socket, ms: 0, requests: [requestFor('/')] }), {
    message: /status 403 in place of 200/,
  });
});

both('a server is started, asked until it answers, and ended; a command is waited for', async (t, callers) => {
  const [socket, output] = [socketIn(t), join(temporaryFolder(t), 'output')];
  const server = `require('http').createServer((_, r) => r.setHeader('Content-Length', 2).end('ok')).listen(process.argv[1])`;
  const first = { socket, request: requestFor('/'), output };
  const started = await callers.first({
    ...first,
    timeoutMs: 30_000,
    command: [process.execPath, '-e', server, socket],
  });
  if (started === 'late') throw new Error('it has not answered');
  process.kill(started.pid, 0);
  await callers.end(started.pid);
  t.throws(() => process.kill(started.pid, 0), { code: 'ESRCH' });
  const mute = { ...first, socket: socketIn(t), timeoutMs: 50, command: ['sleep', '60'] };
  t.equal(await callers.first(mute), 'late');

  const { latencies } = await callers.start({ callers: 2, ms: 0, commands: [['true'], ['sh', '-c', 'echo x']] });
  t.equal(latencies.length, 2);
  await t.rejects(callers.start({ ms: 0, commands: [['false']] }), { message: /has ended with status/ });
});
