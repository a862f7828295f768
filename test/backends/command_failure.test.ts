import t from 'tap';
import { failureOfCommand } from '../../src/backends/command_failure.js';

t.test('each way in which a program does not end by itself has its code and reason', (t) => {
  const ends = [
    'missing',
    'cannot_start',
    'no_memory',
    'unproven',
    'killed_by_signal',
    'too_large',
    'aborted',
  ] as const;
  const told = ends.map((end) => {
    const { code, reason } = failureOfCommand({ end });
    return `${end}: ${code}/${reason}`;
  });
  t.same(told, [
    'missing: backend_unavailable/binary_missing',
    'cannot_start: backend_unavailable/cannot_start',
    'no_memory: backend_unavailable/cannot_start',
    'unproven: backend_failed/decrypt_failed',
    'killed_by_signal: backend_failed/killed_by_signal',
    'too_large: backend_failed/value_too_large',
    'aborted: backend_timeout/timeout',
  ]);
  t.end();
});
