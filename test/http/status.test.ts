import t from 'tap';
import { ERROR_CODES, isRetryable } from '../../src/domain/errors.js';
import { RETRY_AFTER_SECONDS, STATUS_OF } from '../../src/http/status.js';

t.test('every code has a status of an error, and only of codes', (t) => {
  t.same(Object.keys(STATUS_OF).sort(), [...ERROR_CODES].sort());
  for (const code of ERROR_CODES) t.ok(STATUS_OF[code] >= 400 && STATUS_OF[code] < 600, code);
  t.end();
});

t.test('what may succeed later is told by a status that says so', (t) => {
  for (const code of ERROR_CODES) t.equal(isRetryable(code), [503, 504].includes(STATUS_OF[code]), code);
  t.equal(RETRY_AFTER_SECONDS, 1);
  t.end();
});
