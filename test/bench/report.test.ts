import t from 'tap';
import { benchmarksPage, reportText, type Report } from '../../bench/report.js';
import { parseMarkdown, tableOf } from '../support/markdown.js';

const REPORT: Report = {
  setting: { Node: 'v20', date: '2026-01-02' },
  sections: [
    {
      name: 'first',
      title: 'The first',
      results: {
        tables: [{ caption: 'What it was.', header: ['by', 'p50'], rows: [['a | b', '1']] }],
        plots: [
          {
            name: 'first-1',
            plot: { title: 'Latency', x: { label: 'x', scale: 'log' }, y: { label: 'y', scale: 'linear' }, series: [] },
          },
        ],
        targets: [
          { target: 'fast', figure: '1.00', met: true },
          { target: 'small', figure: '9.00', met: false },
          { target: 'elsewhere', figure: 'not measured', met: null },
        ],
        notes: ['How it was measured.'],
      },
    },
    { name: 'second', title: 'The second', results: 'gopass is not there' },
  ],
};

const TARGETS = [
  ['fast', '1.00', 'yes'],
  ['small', '9.00', 'no'],
  ['elsewhere', 'not measured', '–'],
  ['second', 'not measured: gopass is not there', '–'],
];

t.test('the page has the targets first, then the tables and plots of each bench', (t) => {
  const page = parseMarkdown(benchmarksPage(REPORT));
  t.same(tableOf(page, 'Benchmarks', 'measured on'), [
    ['Node', 'v20'],
    ['date', '2026-01-02'],
  ]);
  t.same(tableOf(page, 'Targets', 'target'), TARGETS);
  t.same(tableOf(page, 'The first', 'by'), [['a | b', '1']]);
  t.ok(page.links.includes('benchmarks/first-1.svg'));
  t.match(page.prose.join('\n'), 'Not measured: gopass is not there.');
  t.match(page.prose.join('\n'), 'A p99 without brackets is that of all rounds together');
  t.end();
});

t.test('what is printed has the same tables, and no plots', (t) => {
  const text = parseMarkdown(reportText(REPORT));
  t.same(tableOf(text, '', 'target'), TARGETS);
  t.same(tableOf(text, 'The first', 'by'), [['a | b', '1']]);
  t.same(text.links, []);
  t.end();
});
