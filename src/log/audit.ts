import type { ErrorCode } from '../domain/errors.js';
import type { Peer } from '../os/peer.js';

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
  readonly via?: 'systemd-credential';
  readonly duration_ms: number;
}

export interface Audit {
  /** True once the record is written: only then may the answer be sent. */
  record(record: AuditRecord): Promise<boolean>;
}

/**
 * Audit records are written whatever the level of the log, as lines like those of pino, which would take twice as long
 * to make one.
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
      return append(`${JSON.stringify({ level: 'info', time, event: 'secret_access', ...record })}\n`);
    },
  };
}
