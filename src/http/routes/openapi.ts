import { OPENAPI } from '../../openapi.js';
import type { App } from '../app.js';

const SCHEMA = { summary: 'This document' };

export function openapiRoute(app: App): void {
  app.get('/openapi.json', { schema: SCHEMA }, (_request, reply) =>
    reply.type('application/json; charset=utf-8').send(OPENAPI),
  );
}
