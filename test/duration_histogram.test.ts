import { Registry } from 'prom-client';
import type { Metric } from 'prom-client';
import fc from 'fast-check';
import t from 'tap';
import { DurationHistogram } from '../src/duration_histogram.js';

const BOUNDS = [0.1, 1, 10];

function histogram(): DurationHistogram {
  return new DurationHistogram('calls_seconds', 'Duration of calls', ['store', 'backend'], BOUNDS);
}

async function printed(metric: DurationHistogram): Promise<string> {
  const registry = new Registry();
  registry.registerMetric(metric as unknown as Metric);
  return registry.metrics();
}

t.test('it is printed as Prometheus takes a histogram: each bucket with those below it', async (t) => {
  const metric = histogram();
  for (const seconds of [0.1, 0.5, 0.75, 20]) metric.observe('red', 'gopass', seconds);
  t.equal(
    await printed(metric),
    `# HELP calls_seconds Duration of calls
# TYPE calls_seconds histogram
calls_seconds_bucket{le="0.1",store="red",backend="gopass"} 1
calls_seconds_bucket{le="1",store="red",backend="gopass"} 3
calls_seconds_bucket{le="10",store="red",backend="gopass"} 3
calls_seconds_bucket{le="+Inf",store="red",backend="gopass"} 4
calls_seconds_sum{store="red",backend="gopass"} 21.35
calls_seconds_count{store="red",backend="gopass"} 4
`,
  );
});

t.test('the same store with another backend, as after a reload, is counted by itself', async (t) => {
  const metric = histogram();
  metric.observe('red', 'gopass', 1);
  metric.observe('red', 'pass', 1);
  metric.observe('blue', 'pass', 1);
  const counts = (await printed(metric)).match(/^calls_seconds_count.*$/gm);
  t.same(counts, [
    'calls_seconds_count{store="red",backend="gopass"} 1',
    'calls_seconds_count{store="red",backend="pass"} 1',
    'calls_seconds_count{store="blue",backend="pass"} 1',
  ]);
});

t.test('what has not been observed is not printed', async (t) => {
  t.notMatch(await printed(histogram()), 'calls_seconds_count');
});

t.test('whatever is observed, a bucket counts what is not above its bound', () =>
  fc.assert(
    fc.asyncProperty(fc.array(fc.double({ min: 0, max: 20, noNaN: true })), async (durations) => {
      const metric = histogram();
      metric.observe('red', 'env', 0);
      for (const seconds of durations) metric.observe('red', 'env', seconds);
      const { values } = await metric.get();
      const counts = values.filter(({ metricName }) => metricName.endsWith('_bucket')).map(({ value }) => value);
      const expected = [...BOUNDS, Infinity].map((bound) => 1 + durations.filter((seconds) => seconds <= bound).length);
      return JSON.stringify(counts) === JSON.stringify(expected);
    }),
  ),
);
