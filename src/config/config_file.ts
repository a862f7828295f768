import { isUtf8 } from 'node:buffer';
import { closeSync, constants, fstatSync, openSync, readFileSync, realpathSync, type Stats, statSync } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname } from 'node:path';
import { describeSystemError } from '../os/system_error.js';

/**
 * The most that a configuration file may have: a hundred thousand refs and some more. Nothing is answered while one is
 * parsed again, and that takes seconds for each megabyte, whatever stands in it.
 */
const MAX_FILE_BYTES = 16 * 1024 * 1024;

export type ConfigFile = { readonly bytes: Buffer; readonly text: string } | { readonly problems: readonly string[] };

/**
 * Reads a configuration file if nobody but root and the running user can have written it: what it says decides who
 * may read which secret. Of a symlink the target counts.
 */
export function readConfigFile(file: string): ConfigFile {
  let fd: number | undefined;
  try {
    // A pipe has no path to resolve.
    const kind = kindProblem(statSync(file));
    if (kind !== null) return { problems: [kind] };
    // Once resolved, the folder that is judged is the one that the file is opened in.
    const target = realpathSync(file);
    // Without O_NONBLOCK a FIFO would hold the start for ever.
    fd = openSync(target, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = fstatSync(fd);
    const folder = dirname(target);
    const running = runningUser();
    const distrust = [fileProblem(stat, running), folderProblem(folder, statSync(folder), running)];
    const problems = [kindProblem(stat), ...distrust].filter((problem) => problem !== null);
    if (stat.size > MAX_FILE_BYTES) problems.push(`is larger than ${MAX_FILE_BYTES} bytes`);
    if (problems.length > 0) return { problems };
    return decoded(readFileSync(fd));
  } catch (error) {
    return { problems: [`cannot be read: ${describeSystemError(error)}`] };
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function kindProblem(stat: Stats): string | null {
  if (stat.isFile()) return null;
  return stat.isDirectory() ? 'is a folder, not a file' : 'is no regular file';
}

function decoded(bytes: Buffer): ConfigFile {
  if (!isUtf8(bytes)) return { problems: [`is not UTF-8 text (line ${firstLineThatIsNotUtf8(bytes)})`] };
  return { bytes, text: new TextDecoder().decode(bytes) };
}

function firstLineThatIsNotUtf8(bytes: Buffer): number {
  let line = 1;
  let start = 0;
  for (;;) {
    const end = bytes.indexOf(0x0a, start);
    if (end === -1 || !isUtf8(bytes.subarray(start, end))) return line;
    line += 1;
    start = end + 1;
  }
}

export interface Running {
  readonly uid: number;
  /** The primary group. */
  readonly gid: number;
}

/** The running user as the user database knows it; a uid may have no entry there. */
export function runningUser(lookUp: () => Running = userInfo): Running {
  try {
    const { uid, gid } = lookUp();
    return { uid, gid };
  } catch {
    const { geteuid, getegid } = process as Required<NodeJS.Process>;
    return { uid: geteuid(), gid: getegid() };
  }
}

type Ownership = Pick<Stats, 'uid' | 'gid' | 'mode'>;

/** Who else than root and the running user could have written a file, and what to do; null when nobody. */
export function fileProblem(stat: Ownership, running: Running): string | null {
  if (isForeign(stat, running)) {
    return `is owned by uid ${stat.uid}: it must belong to root or to the running user (uid ${running.uid})`;
  }
  const writers = foreignWriters(stat, running);
  return writers === null ? null : `may be written by ${writers.who}: chmod ${writers.remedy} it`;
}

/** Who else than root and the running user could put another file in the place of one in this folder. */
export function folderProblem(folder: string, stat: Ownership, running: Running): string | null {
  if (isForeign(stat, running)) {
    return `stands in a folder that is owned by uid ${stat.uid} (${folder}): it could be replaced`;
  }
  // In a sticky folder only the owners of the file and of the folder can.
  if ((stat.mode & 0o1000) !== 0) return null;
  const writers = foreignWriters(stat, running);
  return (
    writers &&
    `stands in a folder that ${writers.who} may write (${folder}): it could be replaced; chmod ${writers.remedy} the folder`
  );
}

function isForeign({ uid }: Ownership, running: Running): boolean {
  return uid !== 0 && uid !== running.uid;
}

function foreignWriters({ mode, gid }: Ownership, running: Running): { who: string; remedy: string } | null {
  if ((mode & 0o002) !== 0) return { who: 'everybody', remedy: 'o-w' };
  if ((mode & 0o020) !== 0 && gid !== 0 && gid !== running.gid) return { who: `group ${gid}`, remedy: 'g-w' };
  return null;
}
