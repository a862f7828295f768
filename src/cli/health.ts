import { type Answer, ask } from '../client/ask.js';
import { isIdentifier } from '../domain/identifier.js';
import { type OptionValues } from './arguments.js';
import { describeRefusal, socketPath } from './ask.js';
import { EXIT } from './exit_status.js';
import { complain, type Io } from './io.js';
import { formatRows } from './table.js';

export async function health(io: Io, options: OptionValues): Promise<number> {
  const socket = socketPath(io, options);
  const answer = await ask(socket, '/readyz', 'application/json');
  const readiness = readinessOf(answer);
  if (readiness === null) {
    await complain(io, 'mxm-secretsd health', describeRefusal(answer, socket));
    return EXIT.unavailable;
  }
  await io.stdout.write(formatRows(readiness.stores, io.stdout));
  return readiness.ready ? EXIT.ok : EXIT.unavailable;
}

interface Readiness {
  readonly ready: boolean;
  /** Name, backend, status and, if there is one, code. */
  readonly stores: readonly (readonly string[])[];
}

interface Readyz {
  readonly status: string;
  readonly stores: Readonly<Record<string, { backend: string; status: string; code?: string }>>;
}

/** Null for anything but what `/readyz` answers: all of it are identifiers, which a terminal can be shown. */
function readinessOf(answer: Answer): Readiness | null {
  if (answer.kind !== 'answer') return null;
  try {
    const { status, stores } = JSON.parse(answer.body.toString('utf8')) as Readyz;
    const rows = Object.entries(stores).map(([name, store]) =>
      [name, store.backend, store.status, store.code].filter((cell) => cell !== undefined),
    );
    return rows.flat().every(isIdentifier) ? { ready: status === 'ready', stores: rows } : null;
  } catch {
    return null;
  }
}
