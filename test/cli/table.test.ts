import t from 'tap';
import { formatRows } from '../../src/cli/table.js';

const ROWS = [['name', 'a'], ['longer name', 'b', 'c'], ['x']];

t.test('on a terminal the columns are aligned and no line ends with blanks', (t) => {
  t.equal(formatRows(ROWS, { isTTY: true }), 'name         a\nlonger name  b  c\nx\n');
  t.end();
});

t.test('elsewhere a tab stands between the cells', (t) => {
  t.equal(formatRows(ROWS, { isTTY: false }), 'name\ta\nlonger name\tb\tc\nx\n');
  t.end();
});

t.test('no cell holds what a terminal would act upon, or what divides cells', (t) => {
  for (const isTTY of [true, false]) t.equal(formatRows([['a\u202eb\tc\nd']], { isTTY }), 'a\ufffdb\ufffdc\ufffdd\n');
  t.end();
});

t.test('no rows are no output', (t) => {
  t.equal(formatRows([], { isTTY: true }), '');
  t.equal(formatRows([], { isTTY: false }), '');
  t.end();
});
