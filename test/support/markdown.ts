import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** What the tests read of a document: the Markdown that these documents are written in, and no more. */
export interface Document {
  readonly tables: readonly Table[];
  readonly fences: readonly Fence[];
  readonly links: readonly string[];
  /** As a link names them, in order. */
  readonly anchors: readonly string[];
  /** All but the fences, line by line. */
  readonly prose: readonly string[];
}

export interface Table {
  /** The heading that it stands under. */
  readonly under: string;
  readonly header: readonly string[];
  /** A cell in backticks comes without them when it is nothing else. */
  readonly rows: readonly (readonly string[])[];
}

export interface Fence {
  readonly under: string;
  readonly language: string;
  /** Without a line ending at the end. */
  readonly text: string;
}

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export function readDocument(name: string): Document {
  return parseMarkdown(readFileSync(`${ROOT}${name}`, 'utf8'));
}

export function parseMarkdown(markdown: string): Document {
  const tables: { under: string; header: string[]; rows: string[][] }[] = [];
  const fences: { under: string; language: string; text: string }[] = [];
  const links: string[] = [];
  const anchors: string[] = [];
  const prose: string[] = [];
  let under = '';
  let fence: { language: string; lines: string[] } | undefined;
  let inTable = false;
  for (const line of markdown.split('\n')) {
    if (fence !== undefined) {
      if (line === '```') {
        fences.push({ under, language: fence.language, text: fence.lines.join('\n') });
        fence = undefined;
      } else fence.lines.push(line);
      continue;
    }
    if (line.startsWith('```')) {
      fence = { language: line.slice(3), lines: [] };
      continue;
    }
    prose.push(line);
    const heading = /^#+ (.*)$/.exec(line)?.[1];
    if (heading !== undefined) {
      under = heading;
      anchors.push(anchorOf(heading));
    }
    for (const [, target = ''] of line.matchAll(/\]\(([^)]+)\)/g)) links.push(target);
    if (!line.startsWith('|')) inTable = false;
    else if (!inTable) {
      tables.push({ under, header: cellsOf(line), rows: [] });
      inTable = true;
    } else if (!/^[| -]+$/.test(line)) tables.at(-1)!.rows.push(cellsOf(line));
  }
  return { tables, fences, links, anchors, prose };
}

function cellsOf(line: string): string[] {
  return line
    .slice(1, line.lastIndexOf('|'))
    .split(/(?<!\\)\|/)
    .map((cell) =>
      cell
        .trim()
        .replaceAll('\\|', '|')
        .replace(/^`([^`]*)`$/, '$1'),
    );
}

function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}

/** The one table under a heading whose header begins with these cells. */
export function tableOf(document: Document, under: string, ...header: readonly string[]): Table['rows'] {
  const found = document.tables.filter(
    (table) => table.under === under && header.every((cell, column) => table.header[column] === cell),
  );
  if (found.length !== 1) throw new Error(`${found.length} tables under "${under}" begin with ${header.join(', ')}`);
  return found[0]!.rows;
}

/** The one fence of a language under a heading. */
export function fenceOf(document: Document, under: string, language: string): string {
  const found = document.fences.filter((fence) => fence.under === under && fence.language === language);
  if (found.length !== 1) throw new Error(`${found.length} fences of ${language} under "${under}"`);
  return found[0]!.text;
}
