import type { Metrics } from '../../metrics.js';
import type { App } from '../app.js';

const OPTIONS = { config: { summary: "What has been counted since the start, in Prometheus' text format" } };

export function metricsRoute(metrics: Metrics) {
  return (app: App): void => {
    app.get('/metrics', OPTIONS, async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()));
  };
}
