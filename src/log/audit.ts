import type { ErrorCode } from '../domain/errors.js';
import type { Peer } from '../os/peer.js';

const text = (value: unknown): string => JSON.stringify(value);

/** One for each request to `/secrets/:name`, and for each credential that a service manager asks for. Holds no value and no place of one. */
export interface AuditRecord {
  readonly request_id: string;
  /** At most the first 128 characters of the name as it stood in the URL. */
  readonly secret: string;
  readonly principal: string;
  readonly role: string;
  /** `invalid` for every 400; null when no decision was reached. */
  readonly decision: 'allowed' | 'denied' | 'unknown' | 'invalid' | null;
  /** `cancelled`: the caller left before there was an answer. */
  readonly outcome: ErrorCode | 'ok' | 'cancelled';
  readonly store: string | null;
  readonly backend: string | null;
  readonly policy: string | null;
  /** Null where the platform cannot tell. A service manager says for which unit it asks. */
  readonly peer: (Peer & { readonly unit?: string }) | null;
  /** Absent for HTTP. */
  readonly via?: 'systemd-credential' | undefined;
  readonly duration_ms: number;
}

export interface Audit {
  /** True once the record is written: only then may the answer be sent. */
  record(record: AuditRecord): Promise<boolean>;
}

/**
 * Audit records are written whatever the level of the log, as lines like those of pino, which takes four times as long to
 * make one: the daemon would spend a tenth of a request on it.
 */
export function createAudit(append: (line: string) => Promise<boolean>): Audit {
  let now = NaN;
  let time = '';
  return {
    record(record) {
      if (now !== Date.now()) {
        now = Date.now();
        time = new Date(now).toISOString();
      }
      const { request_id, secret, principal, role, decision, outcome, store, backend, policy, peer, via, duration_ms } =
        record;
      const head = `{"level":"info","time":"${time}","event":"secret_access","request_id":${text(request_id)}`;
      const asked = `"secret":${text(secret)},"principal":${text(principal)},"role":${text(role)}`;
      const reached = `"decision":${text(decision)},"outcome":${text(outcome)}`;
      const places = `"store":${text(store)},"backend":${text(backend)},"policy":${text(policy)}`;
      const way = via === undefined ? '' : `"via":${text(via)},`;
      return append(`${head},${asked},${reached},${places},"peer":${text(peer)},${way}"duration_ms":${duration_ms}}\n`);
    },
  };
}
