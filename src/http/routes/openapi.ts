import { OPENAPI } from '../../openapi.js';
import type { App } from '../app.js';

const OPTIONS = { config: { summary: 'This document' } };

export function openapiRoute(app: App): void {
  app.get('/openapi.json', OPTIONS, (_request, reply) => reply.type('application/json; charset=utf-8').send(OPENAPI));
}
