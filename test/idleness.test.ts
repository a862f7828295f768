import t from 'tap';
import { watchIdleness } from '../src/idleness.js';
import { until } from './support/until.js';

t.test('idleness is told once, after the limit', async (t) => {
  const since = performance.now();
  let told = 0;
  const idleness = watchIdleness({ limitMs: () => 30, quietSince: () => since, onIdle: () => (told += 1) });
  idleness.look();
  await until(() => told > 0);
  t.ok(performance.now() - since >= 29);
  idleness.stop();
  t.equal(told, 1);
});

t.test('what is asked for meanwhile begins the time anew', async (t) => {
  let since: number | null = performance.now();
  let looks = 0;
  let told = false;
  const idleness = watchIdleness({
    limitMs: () => 10,
    quietSince() {
      looks += 1;
      if (looks === 3) since = null; // a request is open
      if (looks === 6) since = performance.now();
      return since;
    },
    onIdle: () => (told = true),
  });
  idleness.look();
  await until(() => told);
  t.ok(looks > 6);
});

t.test('who comes at the last moment is not left', async (t) => {
  let since = performance.now() - 100;
  let looks = 0;
  let told = 0;
  const idleness = watchIdleness({
    limitMs: () => 50,
    quietSince() {
      looks += 1;
      if (looks === 2) since = performance.now(); // between the limit and the leave
      return since;
    },
    onIdle: () => (told += 1),
  });
  idleness.look();
  await until(() => looks >= 2);
  t.equal(told, 0);
  await until(() => told > 0);
  t.equal(told, 1);
});

t.test('without a limit there is none, until a look finds one', async (t) => {
  let limit: number | undefined = undefined;
  let told = false;
  const since = performance.now() - 1_000;
  const idleness = watchIdleness({ limitMs: () => limit, quietSince: () => since, onIdle: () => (told = true) });
  idleness.look();
  await new Promise((resolve) => setImmediate(resolve));
  t.notOk(told);
  limit = 1;
  idleness.look();
  await until(() => told);
});

t.test('a watch that is stopped tells nothing', async (t) => {
  let told = false;
  const since = performance.now() - 1_000;
  const idleness = watchIdleness({ limitMs: () => 1, quietSince: () => since, onIdle: () => (told = true) });
  idleness.look();
  idleness.stop();
  await new Promise((resolve) => setImmediate(resolve));
  t.notOk(told);
});
