import type { Results, Table, Target } from './bench.js';

export interface Section {
  readonly name: string;
  readonly title: string;
  /** Or why there is none. */
  readonly results: Results | string;
}

/** Where the page finds its plots. */
const PLOTS = 'benchmarks';

export interface Report {
  readonly setting: Readonly<Record<string, string>>;
  readonly sections: readonly Section[];
}

/** Tables and notes for a terminal, without plots. */
export function reportText({ setting, sections }: Report): string {
  return [
    settingTable(setting),
    targetsTable(sections),
    ...sections.map((section) => sectionText(section, false)),
  ].join('\n\n');
}

/** docs/benchmarks.md. */
export function benchmarksPage({ setting, sections }: Report): string {
  return `# Benchmarks

How fast the daemon is, beside its limit and beside what else one would use. \`npm run docs:benchmarks\` measures what stands
here and writes this page and its plots: nothing on it is written by hand. \`npm run bench -- NAME…\` prints the tables of
single benches: ${sections.map(({ name }) => `\`${name}\``).join(', ')}.

The daemon is the built one, a process of its own. Whoever asks it is another one, whose share is the same for all that
are compared. They take turns in rounds, and a ratio is that of one round: compare ratios, as the figures
themselves are those of one machine. A figure is the median over the rounds, and between those in brackets are half of them.
A p99 without brackets is that of all rounds together: one of them has fewer than 100 requests.

${settingTable(setting)}

## Targets

What we want it to be. None of it is a test: a busy machine misses what a quiet one meets.

${targetsTable(sections)}

${sections.map((section) => sectionText(section, true)).join('\n\n')}
`;
}

function settingTable(setting: Report['setting']): string {
  return markdownTable({ header: ['measured on', ''], rows: Object.entries(setting) });
}

function targetsTable(sections: readonly Section[]): string {
  const rows = sections.flatMap(({ name, results }) =>
    typeof results === 'string' ? [[`\`${name}\``, `not measured: ${results}`, '–']] : results.targets.map(targetRow),
  );
  return markdownTable({ header: ['target', 'figure', 'met'], rows });
}

function targetRow({ target, figure, met }: Target): string[] {
  return [target, figure, met === null ? '–' : met ? 'yes' : 'no'];
}

function sectionText({ title, results }: Section, withPlots: boolean): string {
  if (typeof results === 'string') return `## ${title}\n\nNot measured: ${results}.`;
  const plots = (withPlots ? (results.plots ?? []) : []).map(
    ({ name, plot }) => `![${plot.title}](${PLOTS}/${name}.svg)`,
  );
  const tables = results.tables.map((table) =>
    table.caption === undefined ? markdownTable(table) : `${table.caption}\n\n${markdownTable(table)}`,
  );
  return [`## ${title}`, ...results.notes, ...tables, ...plots].join('\n\n');
}

export function markdownTable({ header, rows }: Table): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n');
}
