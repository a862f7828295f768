import type { ErrorCode } from '../domain/errors.js';
import type { Peer } from '../os/peer.js';
import type { LineWriter } from './line_writer.js';

/** One for each request to `/secrets/:name`, and for each credential that a service manager asks for. Holds no value and no place of one. */
export interface AuditRecord {
  /** The daemon's own: nothing in it needs an escape in JSON. */
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
  /** Written with three decimals at most. */
  readonly duration_ms: number;
}

export interface Audit {
  /**
   * True once the record is written: only then may the answer be sent. At once where that is known. `alone`: there is
   * nobody else of whom a record could come in this turn.
   */
  record(record: AuditRecord, alone?: boolean): boolean | Promise<boolean>;
}

/** What is said of one secret again and again, and the fields that it is made of. */
interface Said {
  readonly record: AuditRecord;
  readonly text: string;
}

/** Secrets about which it is kept. Beyond it, as when somebody tries names, all is begun anew. */
const MAX_KEPT = 1_000;

/**
 * Audit records are written whatever the level of the log, as lines like those of pino, which takes four times as long to
 * make one: the daemon would spend a tenth of a request on it.
 */
export function createAudit(append: LineWriter['append']): Audit {
  const kept = new Map<string, Said>();
  let now = NaN;
  let begin = '';

  function beginning(): string {
    if (now === Date.now()) return begin;
    now = Date.now();
    begin = `{"level":"info","time":"${new Date(now).toISOString()}","event":"secret_access","request_id":`;
    return begin;
  }

  function middle(record: AuditRecord): string {
    const said = kept.get(record.secret);
    if (said !== undefined && saysTheSame(said.record, record)) return said.text;
    const { secret, principal, role, decision, outcome, store, backend, policy } = record;
    const json = JSON.stringify({ secret, principal, role, decision, outcome, store, backend, policy });
    const text = `,${json.slice(1, -1)},"peer":`;
    if (kept.size >= MAX_KEPT) kept.clear();
    kept.set(secret, { record, text });
    return text;
  }

  return {
    record(record, alone) {
      const { request_id, peer, via, duration_ms } = record;
      const way = via === undefined ? '' : `"via":${JSON.stringify(via)},`;
      const head = `${beginning()}"${request_id}"${middle(record)}${peerText(peer)}`;
      return append(`${head},${way}"duration_ms":${durationText(duration_ms)}}\n`, alone);
    },
  };
}

function saysTheSame(one: AuditRecord, other: AuditRecord): boolean {
  return (
    one.principal === other.principal &&
    one.role === other.role &&
    one.decision === other.decision &&
    one.outcome === other.outcome &&
    one.store === other.store &&
    one.backend === other.backend &&
    one.policy === other.policy
  );
}

/** As JSON says the number rounded to three decimals, for which it takes four times as long. */
function durationText(milliseconds: number): string {
  const microseconds = Math.round(milliseconds * 1_000);
  const whole = Math.floor(microseconds / 1_000);
  return `${whole}${FRACTIONS[microseconds - whole * 1_000] as string}`;
}

const FRACTIONS = Array.from({ length: 1_000 }, (_, thousandths) => String(thousandths / 1_000).slice(1));

function peerText(peer: AuditRecord['peer']): string {
  if (peer === null) return 'null';
  const { pid, uid, gid, unit } = peer;
  const end = unit === undefined ? '' : `,"unit":${JSON.stringify(unit)}`;
  return `{"pid":${pid},"uid":${uid},"gid":${gid}${end}}`;
}
