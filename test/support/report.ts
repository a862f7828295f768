import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

/** The kinds of lines that docs/reliability.md is made of. */
export type ReportKind = 'faults' | 'fuzz' | 'memory' | 'soak';

/** Writes down what was measured, as a line of JSON in the folder that MXM_REPORT_DIR names; without it, nowhere. */
export function report(kind: ReportKind, line: object): void {
  const folder = process.env['MXM_REPORT_DIR'] ?? '';
  if (folder === '') return;
  mkdirSync(folder, { recursive: true });
  appendFileSync(join(folder, `${kind}.jsonl`), `${JSON.stringify(line)}\n`);
}
