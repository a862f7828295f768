import t from 'tap';
import { ERROR_CODES } from '../src/domain/errors.js';
import { createMetrics } from '../src/metrics.js';

const config = { digest: 'abc', loadedAt: new Date(1_500) };

async function linesOf(metrics: ReturnType<typeof createMetrics>): Promise<string[]> {
  return (await metrics.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

t.test('requests are counted by route and code', async (t) => {
  const metrics = createMetrics({ gate: { running: 0, waiting: 0 }, config: () => config });
  metrics.countRequest('/secrets/:name', 'ok');
  metrics.countRequest('/secrets/:name', 'ok');
  metrics.countRequest('none', 'not_found');
  const lines = await linesOf(metrics);
  t.ok(lines.includes('mxm_secretsd_requests_total{route="/secrets/:name",code="ok"} 2'));
  t.ok(lines.includes('mxm_secretsd_requests_total{route="none",code="not_found"} 1'));
});

t.test('decisions are there from the start, so that a rate has a beginning', async (t) => {
  const metrics = createMetrics({ gate: { running: 0, waiting: 0 }, config: () => config });
  metrics.countDecision('denied');
  metrics.countDecision(null);
  t.same(
    (await linesOf(metrics)).filter((line) => line.startsWith('mxm_secretsd_decisions_total')),
    ['allowed', 'denied', 'unknown', 'invalid'].map(
      (decision) => `mxm_secretsd_decisions_total{decision="${decision}"} ${decision === 'denied' ? 1 : 0}`,
    ),
  );
});

t.test(
  'every end of a request for a secret is there from the start, so that an alert sees the first one',
  async (t) => {
    const metrics = createMetrics({ gate: { running: 0, waiting: 0 }, config: () => config });
    metrics.countRequest('/secrets/:name', 'internal_error');
    const expected = ['ok', 'cancelled', ...ERROR_CODES.filter((code) => code !== 'not_found')].map(
      (code) =>
        `mxm_secretsd_requests_total{route="/secrets/:name",code="${code}"} ${code === 'internal_error' ? 1 : 0}`,
    );
    const lines = (await linesOf(metrics)).filter((line) => line.startsWith('mxm_secretsd_requests_total'));
    t.same(lines.sort(), expected.sort());
  },
);

t.test('backend calls are observed in seconds by store and backend', async (t) => {
  const metrics = createMetrics({ gate: { running: 0, waiting: 0 }, config: () => config });
  metrics.observeBackend('red', 'gopass', 0.04);
  const lines = await linesOf(metrics);
  const name = 'mxm_secretsd_backend_duration_seconds';
  t.ok(lines.includes(`${name}_bucket{le="0.025",store="red",backend="gopass"} 0`));
  t.ok(lines.includes(`${name}_bucket{le="0.05",store="red",backend="gopass"} 1`));
  t.ok(lines.includes(`${name}_sum{store="red",backend="gopass"} 0.04`));
});

t.test('what runs and what waits is as it is when it is asked for', async (t) => {
  const gate = { running: 0, waiting: 0 };
  const metrics = createMetrics({ gate, config: () => config });
  Object.assign(gate, { running: 2, waiting: 7 });
  const lines = await linesOf(metrics);
  t.ok(lines.includes('mxm_secretsd_backend_in_flight 2'));
  t.ok(lines.includes('mxm_secretsd_queue_depth 7'));
});

t.test('one configuration is in force at a time', async (t) => {
  let current = config;
  const metrics = createMetrics({ gate: { running: 0, waiting: 0 }, config: () => current });
  await metrics.text();
  current = { digest: 'def', loadedAt: new Date(2_000) };
  t.same(
    (await linesOf(metrics)).filter((line) => line.startsWith('mxm_secretsd_config')),
    ['mxm_secretsd_config_info{digest="def"} 1', 'mxm_secretsd_config_loaded_timestamp_seconds 2'],
  );
});
