import { splitPointer } from './yaml_document.js';

const PLAIN_KEY = /^[A-Za-z0-9_-]{1,128}$/;
const MAX_SHOWN = 64;

/** `/refs/a/path` → `refs.a.path`, list items as `[1]`, keys of other shapes in quotes. */
export function displayPath(data: unknown, pointer: string): string {
  let shown = '';
  let at: unknown = data;
  for (const part of splitPointer(pointer)) {
    const inList = Array.isArray(at);
    if (inList) shown += `[${part}]`;
    else shown += `${shown === '' ? '' : '.'}${PLAIN_KEY.test(part) ? part : JSON.stringify(shorten(part))}`;
    at =
      typeof at === 'object' && at !== null && Object.hasOwn(at, part)
        ? (at as Record<string, unknown>)[part]
        : undefined;
  }
  return shown;
}

function shorten(key: string): string {
  return key.length > MAX_SHOWN ? `${key.slice(0, MAX_SHOWN)}…` : key;
}
