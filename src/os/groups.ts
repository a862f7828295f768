import { readFileSync } from 'node:fs';

/** The gid of a group, by name or number; undefined when /etc/group does not have the name. */
export function findGroup(group: string | number): number | undefined {
  if (typeof group === 'number') return group;
  if (/^\d+$/.test(group)) return Number(group);
  for (const line of readLines('/etc/group')) {
    const [name, , gid] = line.split(':');
    if (name === group && gid !== undefined) return Number(gid);
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
