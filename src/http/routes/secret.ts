import type { FastifyRequest } from 'fastify';
import type { Accesses, Refusal } from '../../access.js';
import type { ErrorCode } from '../../domain/errors.js';
import { negotiate, type Representation } from '../accept.js';
import type { App } from '../app.js';
import type { Connections } from '../connections.js';
import { sendProblem } from '../problem.js';
import { represent } from '../representation.js';
import { isWellBehaved } from '../request_rules.js';

export interface SecretRouteParts {
  readonly accesses: Accesses;
  readonly connections: Connections;
  /** Why nothing of this request counts; null where it does. */
  readonly refusalOf: (request: FastifyRequest) => ErrorCode | null;
}

const OPTIONS = { config: { audited: true, summary: 'The value of a secret' } };

export function secretRoute({ accesses, connections, refusalOf }: SecretRouteParts) {
  async function refuse(request: FastifyRequest): Promise<Refusal | null> {
    const outcome = refusalOf(request);
    if (outcome !== null) return { decision: outcome === 'peer_denied' ? 'denied' : null, outcome };
    return (await isWellBehaved(request)) ? null : { decision: 'invalid', outcome: 'invalid_request' };
  }

  return (app: App): void => {
    app.get<{ Params: { name: string } }>('/secrets/:name', OPTIONS, async (request, reply) => {
      const { name } = request.params;
      let representation: Representation | null = null;
      const access = await accesses.open({
        id: request.id,
        name,
        ...request.serving,
        peer: connections.peerOf(request.raw.socket),
        startedAt: request.startedAt,
        over: request.over,
        refuse: () => refuse(request),
        refuseAllowed() {
          representation = negotiate(request.headers.accept);
          return representation === null ? 'not_acceptable' : null;
        },
      });
      if (!access.ok) return sendProblem(reply, access.code);
      let answer: { type: string; body: Buffer };
      try {
        answer = represent(name, access.lease.value, representation as unknown as Representation);
      } finally {
        access.lease.release();
      }
      wipeWhenOver(answer.body, request.over);
      return reply.type(answer.type).send(answer.body);
    });
  };
}

function wipeWhenOver(body: Buffer, over: AbortSignal): void {
  const wipe = (): void => {
    body.fill(0);
  };
  over.addEventListener('abort', wipe, { once: true });
  if (over.aborted) wipe();
}
