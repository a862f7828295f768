import * as Type from '@sinclair/typebox';
import type { Logger } from 'pino';
import { ERROR_CODES } from '../../domain/errors.js';
import type { App, ConfigStatus } from '../app.js';

const alive = Type.Object({ status: Type.Literal('ok') });

const readiness = Type.Object({
  status: Type.Union([Type.Literal('ready'), Type.Literal('unready')]),
  stores: Type.Record(
    Type.String(),
    Type.Object({
      backend: Type.String(),
      status: Type.Union([Type.Literal('ready'), Type.Literal('unready')]),
      code: Type.Optional(Type.Union(ERROR_CODES.map((code) => Type.Literal(code)))),
    }),
  ),
  config: Type.Object({
    digest: Type.String(),
    loaded_at: Type.String(),
    last_error: Type.Union([Type.Null(), Type.Object({ at: Type.String(), message: Type.String() })]),
  }),
});

const HEALTHZ = {
  config: { health: true, summary: 'Whether the process serves' },
  schema: { response: { 200: alive } },
};
const READYZ = {
  config: { health: true, summary: 'Whether every store is ready, and the configuration in force' },
  schema: { response: { 200: readiness, 503: readiness } },
};

export function healthRoutes(log: Logger, configStatus: () => ConfigStatus) {
  return (app: App): void => {
    app.get('/healthz', HEALTHZ, () => ({
      status: 'ok' as const,
    }));

    app.get('/readyz', READYZ, async (request, reply) => {
      const { digest, loadedAt, lastError } = configStatus();
      const stores: Record<
        string,
        { backend: string; status: 'ready' | 'unready'; code?: (typeof ERROR_CODES)[number] }
      > = {};
      let ready = true;
      for (const [name, { backend, status, code, reason }] of await request.serving.api.readiness()) {
        stores[name] = { backend, status, ...(code !== undefined && { code }) };
        if (status === 'ready') continue;
        ready = false;
        request.outcome = 'unready';
        log.warn({ event: 'store_unready', request_id: request.id, store: name, backend, code, reason });
      }
      return reply.code(ready ? 200 : 503).send({
        status: ready ? 'ready' : 'unready',
        stores,
        config: {
          digest,
          loaded_at: loadedAt.toISOString(),
          last_error: lastError && { at: lastError.at.toISOString(), message: lastError.message },
        },
      });
    });
  };
}
