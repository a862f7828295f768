import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Access, Accesses, Refusal } from '../../access.js';
import type { EndSignal } from '../../ending.js';
import type { ErrorCode } from '../../domain/errors.js';
import { negotiate, type Representation } from '../accept.js';
import type { App } from '../app.js';
import type { Connections } from '../connections.js';
import { sendProblem } from '../problem.js';
import { represent } from '../representation.js';
import { type FormRefusal, refusalOfForm } from '../request_rules.js';
import type { CloseWhenUntaken } from '../untaken_answer.js';

export interface SecretRouteParts {
  readonly accesses: Accesses;
  readonly connections: Connections;
  /** Why nothing of this request counts; null where it does. */
  readonly refusalOf: (request: FastifyRequest) => ErrorCode | null;
  readonly closeWhenUntaken: CloseWhenUntaken;
}

const OPTIONS = { config: { audited: true, summary: 'The value of a secret' } };

export function secretRoute({ accesses, connections, refusalOf, closeWhenUntaken }: SecretRouteParts) {
  function refuse(request: FastifyRequest): Refusal | null | Promise<Refusal | null> {
    const outcome = refusalOf(request);
    if (outcome !== null) return { decision: outcome === 'peer_denied' ? 'denied' : null, outcome };
    const refusal = refusalOfForm(request);
    return refusal instanceof Promise ? refusal.then(ofForm) : ofForm(refusal);
  }

  function send(reply: FastifyReply, access: Access, name: string, representation: Representation | null): void {
    if (!access.ok) {
      void sendProblem(reply, access.code);
      return;
    }
    let answer: { type: string; body: Buffer };
    try {
      answer = represent(name, access.lease.value, representation as Representation);
    } finally {
      access.lease.release();
    }
    const { id, over } = reply.request;
    wipeWhenOver(answer.body, over);
    // Past Fastify, whose way to an answer takes a part of the time of a request and adds nothing to this one.
    reply.hijack();
    closeWhenUntaken(reply.raw, over);
    const headers = ['Cache-Control', 'no-store', 'X-Request-Id', id, 'Content-Type', answer.type];
    reply.raw.writeHead(200, [...headers, 'Content-Length', String(answer.body.length)]).end(answer.body);
  }

  return (app: App): void => {
    app.get<{ Params: { name: string } }>('/secrets/:name', OPTIONS, (request, reply) => {
      const { name } = request.params;
      const { identity, api } = request.serving;
      let representation: Representation | null = null;
      const access = accesses.open({
        id: request.id,
        name,
        identity,
        api,
        peer: connections.peerOf(request.raw.socket),
        startedAt: request.startedAt,
        over: request.over,
        isAlone: connections.isAlone,
        refuse: () => refuse(request),
        refuseAllowed() {
          representation = negotiate(request.headers.accept);
          return representation === null ? 'not_acceptable' : null;
        },
      });
      // What is thrown is a defect, for the handler of errors.
      if (!(access instanceof Promise)) send(reply, access, name, representation);
      else
        access
          .then((late) => send(reply, late, name, representation))
          .catch((error: unknown) => void reply.send(error));
    });
  };
}

function ofForm(outcome: FormRefusal): Refusal | null {
  if (outcome === null) return null;
  return { decision: outcome === 'invalid_request' ? 'invalid' : null, outcome };
}

function wipeWhenOver(body: Buffer, over: EndSignal): void {
  const wipe = (): void => {
    body.fill(0);
  };
  over.addEventListener('abort', wipe, { once: true });
  if (over.aborted) wipe();
}
