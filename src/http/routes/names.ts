import { Type } from '@sinclair/typebox';
import type { App } from '../app.js';

const answer = Type.Object({ secrets: Type.Array(Type.String()) });

const SCHEMA = { summary: 'The names that this identity may read, sorted', response: { 200: answer } };

export function namesRoute(app: App): void {
  app.get('/secrets', { schema: SCHEMA }, ({ serving: { api, identity } }) => ({
    secrets: api.names(identity),
  }));
}
