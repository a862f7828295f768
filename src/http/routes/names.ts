import { Type } from '@sinclair/typebox';
import type { App } from '../app.js';

const answer = Type.Object({ secrets: Type.Array(Type.String()) });

export function namesRoute(app: App): void {
  app.get('/secrets', { schema: { response: { 200: answer } } }, ({ serving: { api, identity } }) => ({
    secrets: api.names(identity),
  }));
}
