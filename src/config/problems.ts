import { printable } from '../domain/printable.js';

/** One thing that is wrong with a configuration, and where. Never quotes a `root` or a `path`. */
export interface ConfigProblem {
  /** The file as it was named; absent for plain data. */
  readonly file?: string;
  /** From 1; absent where no place in the file is meant. */
  readonly line?: number;
  /** From 1, in UTF-16 units. */
  readonly column?: number;
  /** The key path, as in `refs.databento_api_key.path` or `policies.p.allowed_principals[1]`; empty for a whole file. */
  readonly path: string;
  /** What is wrong, and where possible what to do. */
  readonly message: string;
}

/** A configuration in error: lists every problem, one a line. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    super(problems.map(formatProblem).join('\n'));
    this.problems = problems;
  }
}

export function formatProblem(problem: ConfigProblem): string {
  const place = [problem.file, problem.line, problem.column].filter((part) => part !== undefined).join(':');
  return printable([place, problem.path, problem.message].filter((part) => part !== '').join(': '));
}

/** What was read first comes first; in it all by place. */
export function inReadingOrder(problems: readonly ConfigProblem[]): ConfigProblem[] {
  const files = [...new Set(problems.map(({ file }) => file))];
  return problems.toSorted(
    (a, b) =>
      files.indexOf(a.file) - files.indexOf(b.file) ||
      (a.line ?? 0) - (b.line ?? 0) ||
      (a.column ?? 0) - (b.column ?? 0),
  );
}

/** ` (did you mean "…"?)` when just one slip — a letter added, lost, changed or swapped with its neighbour — lies between. */
export function didYouMean(given: string, known: Iterable<string>): string {
  for (const candidate of known) {
    if (isOneSlipAway(given, candidate)) return `; did you mean "${candidate}"?`;
  }
  return '';
}

/** Each name is compared with all that are known, which takes long where thousands are wrong. */
const MAX_COMPARED = 100;

/** The same for the first names of many; then nothing. */
export function didYouMeanForFew(): typeof didYouMean {
  let compared = 0;
  return (given, known) => {
    compared += 1;
    return compared > MAX_COMPARED ? '' : didYouMean(given, known);
  };
}

function isOneSlipAway(a: string, b: string): boolean {
  if (a === b || Math.abs(a.length - b.length) > 1) return false;
  let start = 0;
  while (start < a.length && a[start] === b[start]) start += 1;
  let endA = a.length;
  let endB = b.length;
  while (endA > start && endB > start && a[endA - 1] === b[endB - 1]) {
    endA -= 1;
    endB -= 1;
  }
  const [restA, restB] = [a.slice(start, endA), b.slice(start, endB)];
  const swapped = restA.length === 2 && restA === `${restB.slice(1)}${restB.slice(0, 1)}`;
  return swapped || (restA.length <= 1 && restB.length <= 1);
}
