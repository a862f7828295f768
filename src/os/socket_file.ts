import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, linkSync, lstatSync, rmdirSync, rmSync, type Stats, unlinkSync } from 'node:fs';
import { connect, type Server } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { made, makeFolders } from './folders.js';
import { describeSystemError } from './system_error.js';

export interface SocketFile {
  /** Absolute. */
  readonly path: string;
  readonly mode: number;
  readonly gid?: number;
}

export interface OwnedSocketFile {
  /** Removes the file unless another daemon has put its own there meanwhile. */
  remove(): void;
}

/** The socket cannot be made; the message says why, and whose turn it is to do something. */
export class SocketError extends Error {
  override readonly name = 'SocketError';
}

/**
 * Lets a server listen at a path.
 *
 * The socket is bound under a temporary name, open to nobody else, gets its group and mode there and is then linked to
 * its path: link(2) never replaces what is there, so that of several daemons one wins, and nobody can connect before
 * the mode is right.
 */
export async function listenOnFile(server: Server, file: SocketFile): Promise<OwnedSocketFile> {
  try {
    return await listen(server, file);
  } catch (error) {
    server.close();
    if (error instanceof SocketError) throw error;
    throw new SocketError(`${file.path}: the socket cannot be made: ${whatToDo(error, file.path)}`);
  }
}

function whatToDo(error: unknown, socket: string): string {
  const { code, syscall = '', path = socket } = error as NodeJS.ErrnoException;
  if (code !== 'EACCES') return `${describeSystemError(error)}; choose another path`;
  // Where folders are missing, it is the one above the first of them.
  const folder = dirname(['lstat', 'mkdir'].includes(syscall) ? path : socket);
  return `${describeSystemError(error)}: let the daemon's user enter and write ${folder}, or choose another path`;
}

async function listen(server: Server, { path, mode, gid }: SocketFile): Promise<OwnedSocketFile> {
  const folder = dirname(path);
  function giveToGroup(file: string): void {
    if (gid !== undefined) give(file, gid, path);
  }

  makeFolder(folder, gid === undefined ? 0o700 : 0o750, giveToGroup);
  const temporary = join(folder, `.${process.pid}.${randomBytes(6).toString('hex')}`);
  try {
    await bind(server, temporary);
    giveToGroup(temporary);
    chmodSync(temporary, mode);
    const own = lstatSync(temporary);
    while (!linked(temporary, path)) await removeDeadSocket(path, temporary);
    return {
      remove() {
        removeFile(path, own);
      },
    };
  } finally {
    removeFile(temporary);
  }
}

function give(file: string, gid: number, socket: string): void {
  try {
    chownSync(file, -1, gid);
  } catch (error) {
    if (codeOf(error) !== 'EPERM') throw error;
    const remedy = "make the daemon's user a member of it, or choose another group";
    throw new SocketError(`${socket}: the socket may not be given to group ${gid}: ${remedy}`);
  }
}

function makeFolder(folder: string, mode: number, giveToGroup: (folder: string) => void): void {
  const umask = process.umask(0);
  try {
    makeFolders(folder, mode, (above) => {
      try {
        giveToGroup(above);
      } catch (error) {
        rmdirSync(above); // the next start would take it as it is
        throw error;
      }
    });
  } finally {
    process.umask(umask);
  }
}

async function bind(server: Server, path: string): Promise<void> {
  const umask = process.umask(0o177);
  const listening = new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.once('listening', () => {
      server.off('error', reject);
      resolve();
    });
  });
  try {
    inFolderOf(path, (name) => server.listen(name)); // binds before it returns
  } finally {
    process.umask(umask);
  }
  await listening;
}

/**
 * An address holds 107 bytes: enough for the path, not for each name beside it. So these are used from within their
 * folder. The way back may be closed, to a folder that is gone or that only the user who started this may enter: then
 * no relative path means anything, and `/` is as good.
 */
function inFolderOf<T>(path: string, action: (name: string) => T): T {
  let previous = '/';
  try {
    previous = process.cwd();
  } catch {
    // gone
  }
  process.chdir(dirname(path));
  try {
    return action(basename(path));
  } finally {
    try {
      process.chdir(previous);
    } catch {
      process.chdir('/');
    }
  }
}

function linked(from: string, to: string): boolean {
  return made(() => linkSync(from, to));
}

/**
 * Removes what is at the path if it is a socket where nobody listens. Of several daemons that have found the same one
 * dead, only that removes it which holds the claim: otherwise a slow one would remove the socket of the one that was
 * faster. A claim is a link to the claimer's own socket, so that one which was killed meanwhile gives it up.
 */
async function removeDeadSocket(path: string, own: string): Promise<void> {
  const found = stat(path);
  if (found === undefined) return;
  if (!found.isSocket())
    throw new SocketError(`${path}: there is a file that is no socket; remove it or choose another path`);
  if (!(await isDead(path)))
    throw new SocketError(`${path}: another daemon listens there; stop it or choose another path`);

  const claim = join(dirname(path), `.mxm-secretsd.${found.ino}`);
  if (linked(own, claim)) {
    try {
      if (isSame(stat(path), found)) unlinkSync(path);
    } finally {
      removeFile(claim);
    }
  } else if (await isDead(claim)) {
    rmSync(claim, { force: true });
  }
}

/** Only ECONNREFUSED says that nobody listens; ECONNRESET that who did so has stopped meanwhile. */
function isDead(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = inFolderOf(path, (name) => connect(name)); // connects before it returns
    socket.once('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.once('error', (error) => {
      const code = codeOf(error);
      if (code === 'ECONNREFUSED' || code === 'ENOENT') resolve(true);
      else if (code === 'EAGAIN') resolve(false);
      else if (code === 'ECONNRESET') resolve(isDead(path));
      else
        reject(
          new SocketError(
            `${path}: there is a socket that cannot be asked (${code}); remove it or choose another path`,
          ),
        );
    });
  });
}

function stat(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}

/** With the time, as the number of a file that is gone is soon given to another. */
function isSame(a: Stats | undefined, b: Stats): boolean {
  return a?.dev === b.dev && a.ino === b.ino && a.mtimeMs === b.mtimeMs;
}

/** Never throws: what cannot be removed is gone already, or not ours to remove. */
function removeFile(path: string, only?: Stats): void {
  try {
    if (only === undefined || isSame(stat(path), only)) unlinkSync(path);
  } catch {
    return;
  }
}

function codeOf(error: unknown): string {
  return String((error as NodeJS.ErrnoException).code);
}
