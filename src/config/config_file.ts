import { closeSync, constants, fstatSync, openSync, readFileSync, realpathSync, statSync, type Stats } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname } from 'node:path';

/** The most that a configuration file may have: some hundred thousand refs. */
const MAX_FILE_BYTES = 64 * 1024 * 1024;

export type ConfigFile = { readonly bytes: Buffer; readonly text: string } | { readonly problem: string };

/**
 * Reads a configuration file if nobody but root and the running user can have written it: what it says decides who
 * may read which secret.
 */
export function readConfigFile(file: string): ConfigFile {
  let fd: number;
  let folder: string;
  try {
    // Without O_NONBLOCK a FIFO would hold the start for ever.
    fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    return { problem: `cannot be read: ${errorName(error)}` };
  }
  try {
    folder = dirname(realpathSync(file));
    const stat = fstatSync(fd);
    if (!stat.isFile()) return { problem: 'is no regular file' };
    const problem = fileProblem(stat) ?? folderProblem(folder, statSync(folder));
    if (problem !== null) return { problem };
    if (stat.size > MAX_FILE_BYTES) return { problem: `is larger than ${MAX_FILE_BYTES} bytes` };
    const bytes = readFileSync(fd);
    return { bytes, text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) };
  } catch (error) {
    if (error instanceof TypeError) return { problem: 'is not UTF-8 text' };
    return { problem: `cannot be read: ${errorName(error)}` };
  } finally {
    closeSync(fd);
  }
}

function errorName(error: unknown): string {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' ? code : 'unknown error';
}

interface Running {
  readonly uid: number;
  readonly gid: number;
}

/** The running user and that user's primary group. A uid may have no entry in the user database. */
function runningUser(): Running {
  try {
    const { uid, gid } = userInfo();
    return { uid, gid };
  } catch {
    return { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
  }
}

function fileProblem(stat: Stats): string | null {
  const running = runningUser();
  if (stat.uid !== 0 && stat.uid !== running.uid) {
    return `is owned by uid ${stat.uid}: it must belong to root or to the running user (uid ${running.uid})`;
  }
  const writers = foreignWriters(stat, running);
  return writers === null ? null : `may be written by ${writers}: chmod ${writers === 'everybody' ? 'o-w' : 'g-w'} it`;
}

function folderProblem(folder: string, stat: Stats): string | null {
  const running = runningUser();
  if ((stat.mode & 0o1000) !== 0) return null;
  const foreignOwner = stat.uid !== 0 && stat.uid !== running.uid ? `uid ${stat.uid}` : null;
  const writers = foreignOwner ?? foreignWriters(stat, running);
  return writers === null ? null : `stands in a folder that ${writers} may write (${folder}): it could be replaced`;
}

/** Whoever else than root and the running user may write, as the mode says. */
function foreignWriters(stat: Stats, running: Running): string | null {
  if ((stat.mode & 0o002) !== 0) return 'everybody';
  if ((stat.mode & 0o020) !== 0 && stat.gid !== 0 && stat.gid !== running.gid) return `group ${stat.gid}`;
  return null;
}
