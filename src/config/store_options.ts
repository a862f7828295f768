import { escapePointer, isMapping } from './pointer.js';

/** The values of all keys that end in `_file`, however deep, with their pointers below `base`. */
export function filesNamedIn(options: readonly [string, unknown][], base = ''): { pointer: string; path: string }[] {
  return options.flatMap(([key, value]) => {
    const pointer = `${base}/${escapePointer(key)}`;
    if (isMapping(value)) return filesNamedIn(Object.entries(value), pointer);
    return key.endsWith('_file') && typeof value === 'string' ? [{ pointer, path: value }] : [];
  });
}

/** Of plain data, as deep as it goes. */
export function frozenCopy<T>(data: T): T {
  if (Array.isArray(data)) return Object.freeze(data.map(frozenCopy)) as T;
  if (!isMapping(data)) return data;
  return Object.freeze(Object.fromEntries(Object.entries(data).map(([key, value]) => [key, frozenCopy(value)]))) as T;
}
