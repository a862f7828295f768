import t from 'tap';
import { digits, growthExponent, median, quantile, ratioOf, spreadOf, tell } from '../../bench/statistics.js';

t.test('a quantile is the least value that this share does not exceed', (t) => {
  const values = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
  t.equal(quantile(values, 0.5), 5);
  t.equal(quantile(values, 0.99), 10);
  t.equal(quantile(values, 0), 1);
  t.ok(Number.isNaN(quantile([], 0.5)));
  t.end();
});

t.test('the median stands in the middle, or between the two that do', (t) => {
  t.equal(median([3, 1, 2]), 2);
  t.equal(median([4, 1, 2, 3]), 2.5);
  t.ok(Number.isNaN(median([])));
  t.end();
});

t.test('a ratio is that of each round, not of the medians', (t) => {
  t.same(ratioOf([2, 30, 4], [1, 10, 4]), { median: 2, lower: 1, upper: 3 });
  t.end();
});

t.test('the exponent of growth is 1 where it is linear and 0 where there is none', (t) => {
  t.ok(Math.abs(growthExponent([10, 3], [100, 30]) - 1) < 1e-9);
  t.equal(growthExponent([10, 3], [100, 3]), 0);
  t.end();
});

t.test('a figure has three digits, whatever its size', (t) => {
  t.same([0, 0.0012345, 0.5, 1, 9.999, 123.4, 26_936].map(digits), [
    '0',
    '0.00123',
    '0.500',
    '1.00',
    '10.0',
    '123',
    '26,900',
  ]);
  t.equal(digits(NaN), '–');
  t.end();
});

t.test('a spread is told with its quartiles, unless they are one', (t) => {
  t.equal(tell(spreadOf([3, 1, 2])), '2.00 (1.00–3.00)');
  t.equal(tell(spreadOf([8, 1, 7, 2, 6, 3, 5, 4])), '4.50 (2.00–6.00)');
  t.equal(tell(spreadOf([2])), '2.00');
  t.end();
});
