import t from 'tap';
import { printable } from '../../src/domain/printable.js';

t.test('what a terminal would act upon, and what begins a line, is replaced; text stays', (t) => {
  t.equal(printable('a\x1b[31mb\nc\x7f\u0085\u202e\u2028\u200b'), 'a\ufffd[31mb\ufffdc\ufffd\ufffd\ufffd\ufffd\ufffd');
  t.equal(printable('é 語 😀 "quoted" /path'), 'é 語 😀 "quoted" /path');
  t.end();
});
