import { printable } from '../domain/printable.js';
import type { Output } from './io.js';

/** Rows in aligned columns on a terminal; elsewhere a tab between the cells, for cut and awk. */
export function formatRows(given: readonly (readonly string[])[], { isTTY }: Pick<Output, 'isTTY'>): string {
  const rows = given.map((row) => row.map(printable));
  if (!isTTY) return rows.map((row) => `${row.join('\t')}\n`).join('');
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length);
  }
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column] as number))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}
