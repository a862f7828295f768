import { readFileSync } from 'node:fs';

/** The largest uid and gid; the one above it stands for "none". */
export const MAX_ID = 4_294_967_294;

/** The uid of a user, by name or number; undefined when the database does not have the name. */
export function findUser(user: string | number, database = '/etc/passwd'): number | undefined {
  return findId(user, database);
}

/** The gid of a group, by name or number; undefined when the database does not have the name. */
export function findGroup(group: string | number, database = '/etc/group'): number | undefined {
  return findId(group, database);
}

/** Both databases have the number in the third field. */
function findId(account: string | number, database: string): number | undefined {
  if (typeof account === 'number') return account;
  const text = /^\d+$/.test(account) ? account : idOfName(account, database);
  // An entry without a number is none: read as one it would be root's.
  if (text === undefined || !/^\d+$/.test(text)) return undefined;
  const id = Number(text);
  return id <= MAX_ID ? id : undefined;
}

function idOfName(name: string, database: string): string | undefined {
  for (const line of readLines(database)) {
    const [entry, , id] = line.split(':');
    if (entry === name) return id;
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
