import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import type { Logger } from 'pino';
import type { Accesses, Refusal } from './access.js';
import type { SecretsApi } from './api.js';
import { describeError, type ErrorCode } from './domain/errors.js';
import type { EndSignal } from './ending.js';
import type { RuntimeIdentity } from './domain/identity.js';
import { kindOf } from './log/logger.js';
import type { CredentialRequest, Peer } from './os/peer.js';

/** The largest credential that systemd takes. */
const MAX_CREDENTIAL_BYTES = 1_048_576;

export interface CredentialParts {
  readonly accesses: Accesses;
  readonly serving: () => { readonly identity: RuntimeIdentity; readonly api: SecretsApi };
  /** Counts a request in; aborted when the connection is closed. */
  readonly begin: (socket: Socket) => EndSignal;
  /** Why no request of this connection counts; null where they do. */
  readonly refusalOf: (socket: Socket) => ErrorCode | null;
  readonly log: Logger;
}

/**
 * Answers `LoadCredential=ID:SOCKET` with the bytes of the secret ID, by the same rules and with the same record as any
 * other request. systemd reads until the connection ends, and knows no word for "none": of nothing it would make an
 * empty credential. So who gets none is sent more than it takes, which fails the unit.
 */
export function createCredentials({ accesses, serving, begin, refusalOf, log }: CredentialParts) {
  async function answer(socket: Socket, { unit, id }: CredentialRequest, peer: Peer, requestId: string): Promise<void> {
    const { identity, api } = serving();
    const over = begin(socket);
    const access = await accesses.open({
      id: requestId,
      name: id,
      identity,
      api,
      peer: { ...peer, unit },
      via: 'systemd-credential',
      startedAt: performance.now(),
      over,
      refuse: () => refusal(refusalOf(socket)),
      maxBytes: MAX_CREDENTIAL_BYTES,
    });
    if (over.aborted) {
      if (access.ok) access.lease.release();
    } else if (access.ok) {
      over.addEventListener('abort', () => access.lease.release(), { once: true });
      socket.end(access.lease.value);
    } else {
      const { code } = access;
      const message = `the unit does not start: ${describeError(code).text}`;
      log.error({ event: 'credential_refused', request_id: requestId, unit, secret: id, code, message });
      refuse(socket);
    }
  }

  return (socket: Socket, request: CredentialRequest, peer: Peer): void => {
    const requestId = randomUUID();
    socket.on('error', () => undefined); // it is closed then, and that is told
    socket.resume(); // it has been shut down, and brings nothing
    answer(socket, request, peer, requestId).catch((error: unknown) => {
      log.error({ event: 'defect', request_id: requestId, error: kindOf(error) });
      refuse(socket);
    });
  };
}

function refusal(outcome: ErrorCode | null): Refusal | null {
  return outcome === null ? null : { decision: null, outcome };
}

function refuse(socket: Socket): void {
  socket.end(Buffer.alloc(MAX_CREDENTIAL_BYTES + 1));
}
