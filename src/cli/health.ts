import { type OptionValues } from './arguments.js';
import { ask, socketPath } from './ask.js';
import { EXIT } from './exit_status.js';
import type { Io } from './io.js';
import { formatRows } from './table.js';

interface Readiness {
  readonly status: string;
  readonly stores: Readonly<
    Record<string, { readonly backend: string; readonly status: string; readonly code?: string }>
  >;
}

export async function health(io: Io, options: OptionValues): Promise<number> {
  const socket = socketPath(io, options);
  const answer = await ask(socket, '/readyz', 'application/json');
  if (answer.kind === 'no_daemon') {
    await io.stderr.write(`mxm-secretsd health: no daemon answers at ${socket} (${answer.why})\n`);
    return EXIT.unavailable;
  }
  const readiness = answer.kind === 'answer' ? readinessOf(answer.body) : null;
  if (readiness === null) {
    await io.stderr.write(`mxm-secretsd health: what answers at ${socket} is not ready, or no mxm-secretsd\n`);
    return EXIT.unavailable;
  }
  const rows = Object.entries(readiness.stores).map(([name, { backend, status, code }]) => [
    name,
    backend,
    status,
    ...(code === undefined ? [] : [code]),
  ]);
  await io.stdout.write(formatRows(rows, io.stdout));
  return readiness.status === 'ready' ? EXIT.ok : EXIT.unavailable;
}

function readinessOf(body: Buffer): Readiness | null {
  try {
    const value = JSON.parse(body.toString('utf8')) as Partial<Readiness> | null;
    return typeof value?.stores === 'object' && typeof value.status === 'string' ? (value as Readiness) : null;
  } catch {
    return null;
  }
}
