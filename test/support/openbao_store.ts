import type { Backend } from '../../src/backends/backend.js';
import { openbaoKind } from '../../src/backends/openbao.js';

/** Long enough for any machine. */
const PATIENCE_MS = 30_000;

export function openStore(
  options: Record<string, unknown>,
  environment: Record<string, string | undefined> = {},
): Backend {
  return openbaoKind.open({ name: 'red', backend: 'openbao', root: 'mxm', options }, { environment });
}

export interface StoreQuestion {
  readonly field?: string;
  readonly maxBytes?: number;
  readonly signal?: AbortSignal;
}

/** The value as text, or code and reason. */
export async function fetchFrom(store: Backend, location: string, question: StoreQuestion = {}): Promise<string> {
  const { field, maxBytes = 1_048_576, signal = AbortSignal.timeout(PATIENCE_MS) } = question;
  const answer = await store.fetch({ location, ...(field !== undefined && { field }), maxBytes, signal });
  if (!answer.ok) return `${answer.code}/${answer.reason}`;
  const text = answer.value.toString();
  answer.value.fill(0);
  return text;
}

export async function probeOf(store: Backend, signal = AbortSignal.timeout(PATIENCE_MS)): Promise<string> {
  const answer = await store.probe(signal);
  return answer.ok ? 'ready' : `${answer.code}/${answer.reason}`;
}
