import { Type } from '@sinclair/typebox';
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

export function identityRoute(app: App): void {
  app.get('/identity', { schema: { response: { 200: answer } } }, ({ serving: { identity } }) => ({
    identity,
    principal: principalOf(identity),
  }));
}
