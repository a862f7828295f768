import { randomBytes } from 'node:crypto';
import { chownSync, linkSync, lstatSync, mkdirSync, renameSync, type Stats, unlinkSync } from 'node:fs';
import { connect, type Server } from 'node:net';
import { basename, dirname, join } from 'node:path';

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

/** More tries than any number of daemons that race for one path can need. */
const MAX_TRIES = 64;

/** A daemon that is stopped (SIGSTOP) or swamped still has its socket. */
const CONNECT_TIMEOUT_MS = 1_000;

/**
 * Lets a server listen at a path.
 *
 * The socket is bound under a temporary name, where it gets its mode and group, and then linked to its path: link(2)
 * never replaces what is there, so that of several daemons one wins, and nobody can connect before the mode is right.
 * A dead daemon's socket is first moved away under a name of our own, and put back if it turns out that a live one
 * has been put there between the look and the move.
 */
export async function listenOnFile(server: Server, { path, mode, gid }: SocketFile): Promise<OwnedSocketFile> {
  const folder = dirname(path);
  const suffix = `${process.pid}.${randomBytes(6).toString('hex')}`;
  const temporary = join(folder, `.${suffix}.new`);
  const moved = join(folder, `.${suffix}.old`);

  try {
    makeFolder(folder, gid);
    await bind(server, folder, basename(temporary), mode);
    if (gid !== undefined) chownSync(temporary, -1, gid);
    const own = lstatSync(temporary);
    for (let tries = 0; !linked(temporary, path); tries += 1) {
      if (tries === MAX_TRIES) throw new SocketError(`${path}: too many daemons want this path`);
      await removeDeadSocket(path, moved);
    }
    return {
      remove() {
        if (isSame(stat(path), own)) removeFile(path);
      },
    };
  } catch (error) {
    server.close();
    if (error instanceof SocketError) throw error;
    throw new SocketError(`${path}: the socket cannot be made: ${codeOf(error)}`);
  } finally {
    removeFile(temporary);
  }
}

function makeFolder(folder: string, gid: number | undefined): void {
  const umask = process.umask(0);
  try {
    const made = mkdirSync(folder, { recursive: true, mode: gid === undefined ? 0o700 : 0o750 });
    if (made !== undefined && gid !== undefined) {
      for (let at = folder; at.length >= made.length; at = dirname(at)) chownSync(at, -1, gid);
    }
  } finally {
    process.umask(umask);
  }
}

/** From within the folder, as a name of its own length may not fit behind a path of 107 bytes. */
async function bind(server: Server, folder: string, name: string, mode: number): Promise<void> {
  const previous = process.cwd();
  const umask = process.umask(0o777 & ~mode);
  const listening = new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.once('listening', () => {
      server.off('error', reject);
      resolve();
    });
  });
  try {
    process.chdir(folder);
    server.listen(name); // binds before it returns
  } finally {
    process.chdir(previous);
    process.umask(umask);
  }
  await listening;
}

function linked(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

async function removeDeadSocket(path: string, moved: string): Promise<void> {
  const found = stat(path);
  if (found === undefined) return;
  if (!found.isSocket())
    throw new SocketError(`${path}: there is a file that is no socket; remove it or choose another path`);
  if (!(await isDead(path)))
    throw new SocketError(`${path}: another daemon listens there; stop it or choose another path`);
  try {
    renameSync(path, moved);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return; // another daemon was faster
    throw error;
  }
  if (!isSame(stat(moved), found)) linked(moved, path); // it was a live one by then
  removeFile(moved);
}

/** Only ECONNREFUSED says that nobody listens. */
function isDead(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => {
      socket.destroy();
      resolve(false);
    });
    socket.once('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.once('error', (error) => {
      const code = codeOf(error);
      if (code === 'ECONNREFUSED' || code === 'ENOENT') resolve(true);
      else if (code === 'EAGAIN') resolve(false);
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

function isSame(a: Stats | undefined, b: Stats): boolean {
  return a?.dev === b.dev && a.ino === b.ino;
}

function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    return; // gone already, or not ours to remove
  }
}

function codeOf(error: unknown): string {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' ? code : 'unknown error';
}
