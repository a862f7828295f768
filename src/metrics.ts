import { Counter, Gauge, type Metric, Registry } from 'prom-client';
import { ERROR_CODES, type ErrorCode } from './domain/errors.js';
import { DurationHistogram } from './duration_histogram.js';
import type { Gate } from './gate.js';
import type { AuditRecord } from './log/audit.js';

/** How a request ended: `unready` is the 503 of /readyz, `cancelled` a caller that left before its answer was sent. */
export type RequestOutcome = ErrorCode | 'ok' | 'unready' | 'cancelled';

export interface MetricsParts {
  readonly gate: Pick<Gate, 'running' | 'waiting'>;
  readonly config: () => { readonly digest: string; readonly loadedAt: Date };
}

/** What has been counted since the start. No label holds a secret's name. */
export interface Metrics {
  /** `route` as it was declared, or `none` where there is no such route. */
  countRequest(route: string, code: RequestOutcome): void;
  countDecision(decision: AuditRecord['decision']): void;
  /** A backend call that has ended by itself or at the timeout. */
  observeBackend(store: string, backend: string, seconds: number): void;
  /** In Prometheus' text format. */
  text(): Promise<string>;
  readonly contentType: string;
}

/** Seconds: env answers in less than the first, gopass in some 50 ms, and 5 s is the default timeout. */
const BACKEND_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

const DECISIONS = ['allowed', 'denied', 'unknown', 'invalid'] as const;

/** How a request for a secret can end: its route exists. */
const SECRET_OUTCOMES: readonly RequestOutcome[] = [
  'ok',
  'cancelled',
  ...ERROR_CODES.filter((code) => code !== 'not_found'),
];

function addOne<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

export function createMetrics({ gate, config }: MetricsParts): Metrics {
  const registry = new Registry();
  const registers = [registry];
  // Counted here, and by prom-client when it is asked: it takes a tenth of a request to find a counter by its labels.
  // A rate needs a value before the first event: an alert on a defect would miss the first one, and maybe the only one.
  const requests = new Map([['/secrets/:name', new Map(SECRET_OUTCOMES.map((code) => [code, 0]))]]);
  const decisions = new Map(DECISIONS.map((decision) => [decision, 0]));
  new Counter({
    name: 'mxm_secretsd_requests_total',
    help: 'Requests by route and by the code of their answer',
    labelNames: ['route', 'code'] as const,
    registers,
    collect() {
      this.reset();
      for (const [route, codes] of requests) for (const [code, count] of codes) this.inc({ route, code }, count);
    },
  });
  new Counter({
    name: 'mxm_secretsd_decisions_total',
    help: 'Requests for a secret by what was decided',
    labelNames: ['decision'] as const,
    registers,
    collect() {
      this.reset();
      for (const [decision, count] of decisions) this.inc({ decision }, count);
    },
  });
  const backendDuration = new DurationHistogram(
    'mxm_secretsd_backend_duration_seconds',
    'Duration of backend calls',
    ['store', 'backend'],
    BACKEND_BUCKETS,
  );
  registry.registerMetric(backendDuration as unknown as Metric);
  new Gauge({
    name: 'mxm_secretsd_backend_in_flight',
    help: 'Backend calls that run',
    registers,
    collect() {
      this.set(gate.running);
    },
  });
  new Gauge({
    name: 'mxm_secretsd_queue_depth',
    help: 'Backend calls that wait for their turn',
    registers,
    collect() {
      this.set(gate.waiting);
    },
  });
  new Gauge({
    name: 'mxm_secretsd_config_info',
    help: 'Always 1: the digest names the configuration in force',
    labelNames: ['digest'] as const,
    registers,
    collect() {
      this.reset();
      this.set({ digest: config().digest }, 1);
    },
  });
  new Gauge({
    name: 'mxm_secretsd_config_loaded_timestamp_seconds',
    help: 'When the configuration in force was read, in seconds since 1970',
    registers,
    collect() {
      this.set(config().loadedAt.getTime() / 1_000);
    },
  });

  return {
    countRequest(route, code) {
      let codes = requests.get(route);
      if (codes === undefined) requests.set(route, (codes = new Map<RequestOutcome, number>()));
      addOne(codes, code);
    },
    countDecision(decision) {
      if (decision !== null) addOne(decisions, decision);
    },
    observeBackend(store, backend, seconds) {
      backendDuration.observe(store, backend, seconds);
    },
    text: () => registry.metrics(),
    contentType: registry.contentType,
  };
}
