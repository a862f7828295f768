import * as Type from '@sinclair/typebox';
import { principalOf } from '../../domain/identity.js';
import type { App } from '../app.js';

const answer = Type.Object({
  identity: Type.Object({
    machine: Type.String(),
    environment: Type.String(),
    role: Type.String(),
    app: Type.Optional(Type.String()),
    substrate: Type.Optional(Type.String()),
  }),
  principal: Type.String(),
});

const OPTIONS = {
  config: { summary: 'The runtime identity and its principal' },
  schema: { response: { 200: answer } },
};

export function identityRoute(app: App): void {
  app.get('/identity', OPTIONS, ({ serving: { identity } }) => ({
    identity,
    principal: principalOf(identity),
  }));
}
