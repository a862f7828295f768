import { fileURLToPath } from 'node:url';
import t from 'tap';
import { parseMarkdown, tableOf } from '../support/markdown.js';
import { nodeProgram } from '../support/node.js';
import { runProgram } from '../support/process.js';

const RUN = { program: nodeProgram(fileURLToPath(new URL('../../bench/run.ts', import.meta.url))) };

t.test('a bench that does not exist is wrong usage, and those that do are listed', async (t) => {
  const { status, stdout, stderr } = await runProgram(['no_such_bench'], RUN);
  t.equal(status, 64);
  t.equal(stdout.length, 0);
  t.match(stderr, /there is no bench no_such_bench: gopass, env, backends, growth, start, python/);
});

t.test('a bench prints its targets and its tables', async (t) => {
  const { status, stdout, stderr } = await runProgram(['env', '--quick'], RUN);
  t.equal(status, 0, stderr);
  const text = parseMarkdown(stdout.toString());
  t.equal(tableOf(text, '', 'target', 'figure', 'met').length, 2);
  const rows = tableOf(text, 'Environment: the daemon itself', 'asked for', 'callers', 'connections', 'server');
  t.equal(rows.length, 24, 'two secrets, one caller and many, connections kept or not, three servers');
  const afterPause = tableOf(text, 'Environment: the daemon itself', 'asked for after a pause', 'callers');
  t.equal(afterPause.length, 3, 'three servers');
  for (const [, , , server, rate = '', , p50 = ''] of [...rows, ...afterPause])
    t.match(`${rate} ${p50}`, /^[\d.,]+.* [\d.,]+/, `of ${String(server)}`);
});
