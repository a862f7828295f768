import fc from 'fast-check';
import t from 'tap';
import { type AuditRecord, createAudit } from '../../src/log/audit.js';

const RECORD: AuditRecord = {
  request_id: 'r',
  secret: 'api_key',
  principal: 'marketdata',
  role: 'marketdata',
  decision: 'allowed',
  outcome: 'ok',
  store: 'red',
  backend: 'gopass',
  policy: 'open',
  peer: { pid: 1, uid: 2, gid: 3 },
  duration_ms: 1.5,
};

t.test('a record is one JSON line with its fields, an event, a level and the time', async (t) => {
  const lines: string[] = [];
  const audit = createAudit((line) => Promise.resolve(lines.push(line) > 0));
  t.equal(await audit.record(RECORD), true);
  t.equal(
    await audit.record({ ...RECORD, store: null, backend: null, policy: null, peer: null, decision: null }),
    true,
  );
  t.equal(lines.length, 2);
  const [first, second] = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  const { time, ...fields } = first!;
  t.strictSame(fields, { level: 'info', event: 'secret_access', ...RECORD });
  t.equal(new Date(time as string).toISOString(), time);
  t.match(second, { store: null, backend: null, policy: null, peer: null, decision: null });
});

t.test('a name of any characters stays within its line', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'binary' }), async (secret) => {
      let line = '';
      const audit = createAudit((text) => Promise.resolve((line = text) !== ''));
      await audit.record({ ...RECORD, secret });
      t.equal(line.indexOf('\n'), line.length - 1);
      t.equal((JSON.parse(line) as AuditRecord).secret, secret);
    }),
  );
});

t.test('a duration stands there as JSON has it', async (t) => {
  const lines: string[] = [];
  const audit = createAudit((line) => lines.push(line) > 0);
  const durations = [
    0, 0.001, 0.01, 0.1, 0.12, 0.999, 1, 1.001, 10.05, 999.999, 1_000, 86_400_000.001, 4_294_967_296.5,
  ];
  for (const duration_ms of durations) await audit.record({ ...RECORD, duration_ms });
  t.same(
    lines.map((line) => line.slice(line.lastIndexOf(':') + 1)),
    durations.map((duration) => `${duration}}\n`),
  );
});

t.test('a duration is rounded to microseconds', async (t) => {
  let line = '';
  const audit = createAudit((written) => (line = written) !== '');
  for (const [duration_ms, rounded] of [
    [0.0004, 0],
    [0.0005, 0.001],
    [1.234499, 1.234],
    [0.9999999, 1],
  ] as const) {
    await audit.record({ ...RECORD, duration_ms });
    t.equal((JSON.parse(line) as AuditRecord).duration_ms, rounded);
  }
});

t.test('that a record is the only one of its turn is handed on', async (t) => {
  const told: unknown[] = [];
  const audit = createAudit((_, alone) => told.push(alone) > 0);
  for (const alone of [true, false, undefined]) await audit.record(RECORD, alone);
  t.same(told, [true, false, undefined]);
});

t.test('what is said again and again is said of each record as it is, however many names there are', async (t) => {
  const lines: string[] = [];
  const audit = createAudit((line) => Promise.resolve(lines.push(line) > 0));
  const records = Array.from({ length: 2_500 }, (_, index) => ({ ...RECORD, secret: `key_${index % 1_200}` }));
  const changes: Partial<AuditRecord>[] = [
    { principal: 'other' },
    { role: 'other' },
    { decision: 'denied' },
    { outcome: 'backend_failed' },
    { store: 'blue' },
    { backend: 'pass' },
    { policy: 'closed' },
    {},
  ];
  const others = changes.flatMap((change) => [RECORD, { ...RECORD, ...change }]);
  for (const record of [...records, ...others]) await audit.record(record);
  const said = lines.map((line) => JSON.parse(line) as AuditRecord);
  t.equal(said.length, records.length + others.length);
  t.match(said, [...records, ...others]);
});

t.test('it is recorded once it is written, and not before', async (t) => {
  let finish: (written: boolean) => void = () => undefined;
  const audit = createAudit(() => new Promise((resolve) => (finish = resolve)));
  let settled: boolean | undefined;
  const recording = Promise.resolve(audit.record(RECORD)).then((written) => (settled = written));
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(settled, undefined);
  finish(false);
  await recording;
  t.equal(settled, false);
});
