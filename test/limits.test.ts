import t from 'tap';
import { DEFAULT_LIMITS, LIMIT_RANGES, type Limits, limitsOf } from '../src/limits.js';

/** What is made of limits, and what is told of them. */
function check(given: Record<string, unknown>): { limits: Limits; told: string[] } {
  const told: string[] = [];
  const limits = limitsOf(given, (path, message) => told.push(`${path}: ${message}`));
  return { limits, told };
}

t.test('what is not given, or undefined, is as it is by default', (t) => {
  t.same(check({}), { limits: DEFAULT_LIMITS, told: [] });
  t.same(check({ queue: 0, maxValueBytes: undefined }), { limits: { ...DEFAULT_LIMITS, queue: 0 }, told: [] });
  t.end();
});

t.test('each takes whole numbers of its range alone, and every one that does not fit is told', (t) => {
  for (const [name, [lowest, highest]] of Object.entries(LIMIT_RANGES)) {
    for (const value of [lowest, highest]) t.same(check({ [name]: value }).told, [], `${name}: ${value}`);
    for (const value of [lowest - 1, highest + 1, lowest + 0.5, NaN, Infinity, '5', null]) {
      const { told } = check({ [name]: value });
      t.same(told, [`limits.${name}: must be a whole number from ${lowest} to ${highest}`], String(value));
    }
  }
  t.equal(check({ backendConcurrency: 0, queue: -1 }).told.length, 2);
  t.end();
});

t.test('a key that is none is told with those that are', (t) => {
  const known = 'backendConcurrency, queue, backendTimeoutMs, maxValueBytes';
  for (const name of ['backendTimeout', 'constructor']) {
    t.same(check({ [name]: 1 }).told, [`limits.${name}: is an unknown key; known here: ${known}`]);
  }
  t.end();
});
