import t from 'tap';
import { grown, type Sample } from './growth.js';

const MB = 1024 * 1024;
const REST: Sample = { residentBytes: 100 * MB, descriptors: 30, processes: 4 };

function samples(count: number, at: (part: number) => Partial<Sample>): Sample[] {
  return Array.from({ length: count }, (_, index) => ({ ...REST, ...at(index / count) }));
}

t.test('a process at rest has not grown', (t) => {
  t.same(grown(samples(30, () => ({}))), []);
  t.end();
});

t.test('what grows in the first third is warming up', (t) => {
  t.same(grown(samples(30, (part) => ({ residentBytes: (part < 0.33 ? 50 : 200) * MB }))), []);
  t.end();
});

t.test('a peak is no growth', (t) => {
  t.same(
    grown(samples(30, (part) => (part > 0.9 ? { residentBytes: 900 * MB, descriptors: 900, processes: 90 } : {}))),
    [],
  );
  t.end();
});

t.test('what grows and grows is found', (t) => {
  t.same(grown(samples(30, (part) => ({ residentBytes: (100 + 300 * part) * MB }))), ['residentBytes']);
  t.same(grown(samples(30, (part) => ({ descriptors: 30 + 200 * part }))), ['descriptors']);
  t.same(grown(samples(30, (part) => ({ processes: 4 + 60 * part }))), ['processes']);
  t.end();
});

t.test('too few samples tell nothing', (t) => {
  t.equal(grown(samples(8, () => ({}))), undefined);
  t.end();
});
