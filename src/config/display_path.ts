import { printable } from '../domain/printable.js';
import { childOf, splitPointer } from './pointer.js';

const PLAIN_KEY = /^(?:[A-Za-z0-9_-]{1,128}|<<)$/;
const MAX_SHOWN = 64;

/**
 * `/refs/a/path` → `refs.a.path`, list items as `[1]`, keys of other shapes in quotes.
 *
 * From the depth `ownKeysFrom` on a mapping has the keys of one ref or store. What is odd there may be a `path` that
 * lost its colon (`{path:a/b}`), so that it is not shown; nor is what somebody put below a `path` or a `root`.
 */
export function displayPath(data: unknown, pointer: string, ownKeysFrom = Infinity): string {
  let shown = '';
  let at: unknown = data;
  for (const [depth, part] of splitPointer(pointer).entries()) {
    if (Array.isArray(at) && /^\d+$/.test(part)) shown += `[${part}]`;
    else shown += `${shown === '' ? '' : '.'}${showKey(part, depth >= ownKeysFrom)}`;
    if (depth === ownKeysFrom && (part === 'path' || part === 'root')) break;
    at = childOf(at, part);
  }
  return shown;
}

function showKey(key: string, hidden: boolean): string {
  if (PLAIN_KEY.test(key)) return key;
  if (hidden) return '"…"';
  // Quotes and escapes of JSON, and no character that a terminal would act upon.
  return printable(JSON.stringify(shorten(key)));
}

function shorten(key: string): string {
  return key.length > MAX_SHOWN ? `${key.slice(0, MAX_SHOWN)}…` : key;
}
