import { readFileSync } from 'node:fs';

/** The largest gid; the one above it stands for "none". */
export const MAX_GID = 4_294_967_294;

/** The gid of a group, by name or number; undefined when the database does not have the name. */
export function findGroup(group: string | number, database = '/etc/group'): number | undefined {
  if (typeof group === 'number') return group;
  const text = /^\d+$/.test(group) ? group : gidOfName(group, database);
  // An entry without a gid is none: read as a number it would be that of root's group.
  if (text === undefined || !/^\d+$/.test(text)) return undefined;
  const gid = Number(text);
  return gid <= MAX_GID ? gid : undefined;
}

function gidOfName(name: string, database: string): string | undefined {
  for (const line of readLines(database)) {
    const [entry, , gid] = line.split(':');
    if (entry === name) return gid;
  }
  return undefined;
}

function readLines(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n');
  } catch {
    return [];
  }
}
