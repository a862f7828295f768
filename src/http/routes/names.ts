import * as Type from '@sinclair/typebox';
import type { App } from '../app.js';

const answer = Type.Object({ secrets: Type.Array(Type.String()) });

const OPTIONS = {
  config: { summary: 'The names that this identity may read, sorted' },
  schema: { response: { 200: answer } },
};

export function namesRoute(app: App): void {
  app.get('/secrets', OPTIONS, ({ serving: { api, identity } }) => ({
    secrets: api.names(identity),
  }));
}
