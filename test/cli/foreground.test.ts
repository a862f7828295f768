import { once } from 'node:events';
import t from 'tap';
import { relaySignals, runForeground } from '../../src/cli/foreground.js';
import { memoryIo } from '../support/io.js';

const ENVIRONMENT = { PATH: process.env['PATH'] ?? '' };

t.test('the end of a command is told as a shell tells it', async (t) => {
  const started: number[] = [];
  const run = (...command: string[]): ReturnType<typeof runForeground> =>
    runForeground(command, ENVIRONMENT, [], relaySignals(memoryIo()), (pid) => started.push(pid));
  t.same(await run('sh', '-c', 'exit 3'), { kind: 'ended', status: 3 });
  t.same(await run('sh', '-c', 'kill -USR1 $$'), { kind: 'ended', status: 138 });
  t.equal(started.length, 2);
  t.match(await run('/nonexistent/command'), { kind: 'not_started', status: 127 });
  t.match(await run(''), { kind: 'not_started', status: 127 });
  t.match(await run('/'), { kind: 'not_started', status: 126 });
  t.equal(started.length, 2, 'what does not start has no process');
});

t.test('a signal that cannot be passed on changes nothing', async (t) => {
  const io = memoryIo();
  const relay = relaySignals(io);
  io.raise('SIGTERM'); // before there is a command
  const ending = runForeground(
    ['sleep', '1000'],
    ENVIRONMENT,
    [],
    {
      to(child) {
        relay.to(child);
        const refused = Object.assign(new Error('not permitted'), { code: 'EPERM' });
        void once(child, 'spawn').then(() => {
          child.emit('error', refused);
          io.raise('SIGTERM');
        });
      },
    },
    () => undefined,
  );
  t.same(await ending, { kind: 'ended', status: 143 });
  io.raise('SIGTERM'); // after its end
});

t.test('SIGTSTP does to this process what it does to the command', (t) => {
  const io = memoryIo();
  relaySignals(io);
  for (const signal of ['SIGTSTP', 'SIGCONT', 'SIGINT'] as const) io.raise(signal);
  t.same(io.byDefaultSignals, ['SIGTSTP']);
  t.end();
});
