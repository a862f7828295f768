import fc from 'fast-check';
import t from 'tap';
import { ConfigError, didYouMean, didYouMeanForFew, formatProblem } from '../../src/config/problems.js';

t.test('a problem is one line: where, which key, what is wrong', (t) => {
  const message = 'is missing';
  t.equal(
    formatProblem({ file: 'secrets.yaml', line: 7, column: 12, path: 'refs.a.path', message }),
    'secrets.yaml:7:12: refs.a.path: is missing',
  );
  t.equal(formatProblem({ file: 'secrets.yaml', path: '', message }), 'secrets.yaml: is missing');
  t.equal(
    formatProblem({ file: 'secrets.yaml', line: 1, column: 1, path: '', message }),
    'secrets.yaml:1:1: is missing',
  );
  t.equal(formatProblem({ path: 'refs.a.path', message }), 'refs.a.path: is missing');
  t.equal(formatProblem({ path: '', message }), 'is missing');
  t.equal(formatProblem({ file: 'a\x1b[31m\nb.yaml', path: '', message }), 'a\ufffd[31m\ufffdb.yaml: is missing');
  t.end();
});

t.test('a ConfigError lists every problem, one a line', (t) => {
  const problems = [
    { path: 'stores', message: 'is missing' },
    { path: 'refs', message: 'must be a mapping' },
  ];
  const error = new ConfigError(problems);
  t.type(error, Error);
  t.equal(error.name, 'ConfigError');
  t.equal(error.message, 'stores: is missing\nrefs: must be a mapping');
  t.equal(error.problems, problems);
  t.end();
});

t.test('a name one slip away is suggested', (t) => {
  for (const [slip, given] of [
    ['a letter is lost', 'gopas'],
    ['a letter is added', 'gopasss'],
    ['a letter is another', 'gopazs'],
    ['the case is another', 'Gopass'],
    ['two neighbours are swapped', 'goapss'],
    ['the first letter is lost', 'opass'],
  ] as const) {
    t.equal(didYouMean(given, ['env', 'gopass']), '; did you mean "gopass"?', slip);
  }
  t.end();
});

t.test('nothing is suggested for a name that is right, nor for one further away', (t) => {
  for (const given of ['gopass', 'gpas', 'pass', 'ogpsas', 'goapsss', '']) {
    t.equal(didYouMean(given, ['gopass']), '', given);
  }
  t.equal(didYouMean('gopas', []), '');
  t.end();
});

t.test('a name is suggested exactly when its distance is one edit or one swap', (t) => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 6 });
  fc.assert(
    fc.property(text, text, (given, known) => {
      t.equal(didYouMean(given, [known]) !== '', distance(given, known) === 1, `${given} ${known}`);
    }),
    { numRuns: 500 },
  );
  t.end();
});

t.test('of many names the first hundred are compared, as that takes long', (t) => {
  const hint = didYouMeanForFew();
  let looks = 0;
  const known = {
    *[Symbol.iterator]() {
      looks += 1;
      yield 'gopass';
    },
  };
  const hints = Array.from({ length: 20_000 }, () => hint('gopas', known)).filter((text) => text !== '');
  t.same([hints.length, looks], [100, 100]);
  t.equal(didYouMeanForFew()('gopas', known), '; did you mean "gopass"?', 'another file begins anew');
  t.end();
});

/** Optimal string alignment, as the textbook has it. */
function distance(a: string, b: string): number {
  const rows = Array.from({ length: a.length + 1 }, (_, i) =>
    Array.from({ length: b.length + 1 }, (_, j) => (i === 0 ? j : j === 0 ? i : 0)),
  );
  const at = (i: number, j: number): number => rows[i]![j]!;
  for (let i = 1; i <= a.length; i += 1) {
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) best = Math.min(best, at(i - 2, j - 2) + 1);
      rows[i]![j] = best;
    }
  }
  return at(a.length, b.length);
}
