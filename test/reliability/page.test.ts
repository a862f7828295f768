import t from 'tap';
import { parseMarkdown, tableOf } from '../support/markdown.js';
import { type Measured, reliabilityPage } from './page.js';

const MEASURED: Measured = {
  setting: { Node: 'v20', date: '2026-01-02' },
  faults: [
    { name: 'first', asked: 'a | b', answers: { '200 ok': 2, closed: 1 }, next: '200', processes: 0, descriptors: 0 },
    { name: 'second', asked: 'c', answers: {}, next: '200', processes: 0, descriptors: 0 },
  ],
  fuzz: { seed: 7, cases: 10, seconds: 1, answers: { '404 not_found': 9 }, configurations: { refused: 1 } },
  memory: { answers: 5, abandoned: 1, canaries: 0, bytes: 3_000_000 },
  soak: {
    minutes: 2,
    requests: 11,
    answers: { '200 ok': 11 },
    rows: [{ minute: 0.5, requests: 4, residentBytes: 2 * 1024 * 1024, descriptors: 30, processes: 1 }],
  },
};

t.test('the page has all that was measured', (t) => {
  const page = parseMarkdown(reliabilityPage(MEASURED));
  t.same(tableOf(page, 'Reliability', 'measured on'), [
    ['Node', 'v20'],
    ['date', '2026-01-02'],
  ]);
  t.same(tableOf(page, 'Faults', 'fault'), [
    ['first', 'a | b', '200 ok × 2, closed × 1', '200', '0', '0'],
    ['second', 'c', '', '200', '0', '0'],
  ]);
  t.same(tableOf(page, 'Fuzzing', 'seed'), [['7', '10', '1', '404 not_found × 9', 'refused × 1']]);
  t.same(tableOf(page, 'Memory', 'answers'), [['5', '1', '3 MB', '0']]);
  t.same(tableOf(page, 'Soak', 'minute'), [['0.50', '4', '2 MiB', '30', '1']]);
  t.end();
});
