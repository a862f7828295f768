import t from 'tap';
import { createLogger, kindOf } from '../../src/log/logger.js';

function logAt(level: Parameters<typeof createLogger>[0]): string[] {
  const lines: string[] = [];
  const log = createLogger(level, { write: (line) => void lines.push(line) });
  log.debug({ event: 'a' });
  log.info({ event: 'b', n: 1 });
  log.error({ event: 'c' });
  return lines;
}

t.test('a line is JSON with its level by name and the time, and nothing of the process', (t) => {
  const [line] = logAt('info');
  t.match(line, /^\{.*\}\n$/);
  const { time, ...fields } = JSON.parse(line!) as { time: string };
  t.strictSame(fields, { level: 'info', event: 'b', n: 1 });
  t.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  t.end();
});

t.test('the level decides what is written', (t) => {
  const events = (level: Parameters<typeof createLogger>[0]): unknown[] =>
    logAt(level).map((line) => (JSON.parse(line) as { event: string }).event);
  t.same(events('trace'), ['a', 'b', 'c']);
  t.same(events('info'), ['b', 'c']);
  t.same(events('error'), ['c']);
  t.same(events('silent'), []);
  t.end();
});

t.test('of an unexpected error only its kind is told', (t) => {
  t.equal(kindOf(new RangeError('canary')), 'RangeError');
  t.equal(kindOf('canary'), 'string');
  t.equal(kindOf(undefined), 'undefined');
  t.end();
});
