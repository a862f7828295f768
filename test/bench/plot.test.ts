import t from 'tap';
import { cumulative, evenly, type Plot, plotSvg, powers } from '../../bench/plot.js';

const PLOT: Plot = {
  title: 'A < B & C',
  x: { label: 'size in bytes', scale: 'log' },
  y: { label: 'share in %', scale: 'linear' },
  series: [
    {
      name: 'first',
      points: [
        [1, 0],
        [10, 50],
        [100, 100],
      ],
      marked: true,
    },
    {
      name: 'second',
      points: [
        [0, 1],
        [NaN, 2],
        [50, 3],
      ],
    },
  ],
};

t.test('a plot has its title, both labels, a legend and a background of its own', (t) => {
  const svg = plotSvg(PLOT);
  for (const text of ['A &lt; B &amp; C', 'size in bytes', 'share in %', 'first', 'second']) t.match(svg, `>${text}<`);
  t.match(svg, 'fill="#ffffff"');
  t.end();
});

t.test('what has no place on an axis is left out', (t) => {
  const svg = plotSvg(PLOT);
  t.notMatch(svg, /NaN|Infinity/);
  t.equal(svg.match(/<circle/g)?.length, 3);
  t.end();
});

t.test('an axis of powers begins and ends close to the values, and spans at least a tenfold', (t) => {
  t.same(powers(10, 100_000), { low: 10, high: 100_000, ticks: [10, 100, 1_000, 10_000, 100_000] });
  t.same(powers(3, 40), { low: 2, high: 50, ticks: [2, 5, 10, 20, 50] });
  t.same(powers(0.08, 300), { low: 0.05, high: 500, ticks: [0.1, 1, 10, 100] });
  t.same(powers(2.5, 3.3), { low: 1, high: 10, ticks: [1, 2, 5, 10] });
  t.same(powers(10, 10), { low: 10, high: 100, ticks: [10, 20, 50, 100] });
  t.end();
});

t.test('an even axis has round steps and reaches beyond all values', (t) => {
  t.same(evenly(0, 99.5), { low: 0, high: 100, ticks: [0, 20, 40, 60, 80, 100] });
  t.end();
});

t.test('a distribution leaves out the outermost half percent', (t) => {
  const { points } = cumulative(
    'all',
    Float64Array.from({ length: 1_000 }, (_, index) => index + 1),
  );
  t.same(
    [points[0], points.at(-1)],
    [
      [5, 0.5],
      [995, 99.5],
    ],
  );
  t.end();
});
