import { constants, readlinkSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { allocateSecretBytes, copySecretBytes } from '../domain/secret_bytes.js';
import type { EndSignal } from '../ending.js';
import { closeFile, descriptorPath, holdFile, letGoOf, openFile, type Place, readFile, statFile } from '../os/disk.js';
import { type BackendFailure, failure, type ProbeAnswer } from './backend.js';

const READ_AT_ONCE = 1_048_576;

/** So many that one of them agrees, even where somebody does nothing but rename the root. */
const LOOKS = 16;

const SLASH = Buffer.from('/');

const TIMED_OUT = failure('backend_timeout', 'timeout');
const NO_ENTRY = failure('secret_not_found', 'entry_missing');

/** An open regular file. */
export interface OpenFile {
  readonly fd: number;
  /** What it had when it was looked at. */
  readonly size: number;
}

/**
 * Opens the regular file at `path` below the directory `root`, and gives it to `use` while it is open.
 *
 * What was opened is checked, and not what stands at a path: both are held by descriptors before anything is asked of
 * them, and the kernel tells where what they hold stands. So whatever symlinks say, and whatever is renamed meanwhile,
 * nothing outside of the directory that was `root` at that moment is opened for reading. `root` itself may be a symlink.
 */
export async function withContainedFile<T>(
  root: string,
  path: string,
  signal: EndSignal,
  use: (file: OpenFile) => Promise<T>,
): Promise<T | BackendFailure> {
  return withRoot(root, (directory, standsAt) => {
    if (signal.aborted) return TIMED_OUT;
    return holding({ path, directory }, failureOfEntry, async (held) => {
      const size = await sizeOfEntry(held, directory, standsAt);
      if (typeof size !== 'number') return size;
      if (signal.aborted) return TIMED_OUT;
      let fd: number;
      try {
        fd = await openFile(descriptorPath(held), constants.O_RDONLY);
      } catch (error) {
        return failureOfEntry(error);
      }
      try {
        return await use({ fd, size });
      } finally {
        closeFile(fd);
      }
    });
  });
}

/** Of what is held, when it is a regular file below the directory. */
async function sizeOfEntry(held: number, directory: number, standsAt: Buffer): Promise<number | BackendFailure> {
  try {
    const stat = await statFile(held);
    if (stat.isDirectory || !(await isContained(held, directory, standsAt))) return NO_ENTRY;
    return stat.isFile ? stat.size : failure('backend_failed', 'no_regular_file');
  } catch (error) {
    return failureOfEntry(error);
  }
}

/**
 * The directory may be renamed between a look at it and one at what is held: so what seems to stand outside is looked at
 * again, with it. A turn of the event loop between the two keeps them from alternating with renames, each in wait of the
 * other.
 */
async function isContained(held: number, directory: number, standsAt: Buffer): Promise<boolean> {
  for (let looks = 1, above = standsAt; !isBelow(placeOf(held), above); looks += 1) {
    if (looks === LOOKS) return false;
    above = placeOf(directory);
    await nextTurn();
  }
  return true;
}

/** Whether the directory is there. */
export function probeDirectory(root: string): Promise<ProbeAnswer> {
  return withRoot(root, () => ({ ok: true }));
}

/** The bytes of a file in a Buffer of the receiver's own; `too_large` above `maxBytes`. */
export async function readBounded(
  { fd, size }: OpenFile,
  maxBytes: number,
  signal: EndSignal,
): Promise<Buffer | BackendFailure> {
  let buffer = allocateSecretBytes(0);
  let length = 0;
  const refuse = (refusal: BackendFailure): BackendFailure => {
    buffer.fill(0);
    return refusal;
  };
  if (size > maxBytes) return failure('backend_failed', 'value_too_large');
  try {
    // One more than the file had, to see its end; it may grow until then.
    buffer = allocateSecretBytes(size + 1);
    for (;;) {
      if (signal.aborted) return refuse(TIMED_OUT);
      const room = Math.min(buffer.length - length, READ_AT_ONCE);
      const bytesRead = await readFile(fd, buffer, length, room);
      if (bytesRead === 0) return buffer.subarray(0, length);
      length += bytesRead;
      // All that it had, and asked for more there was none.
      if (length === size && bytesRead < room) return buffer.subarray(0, length);
      if (length > maxBytes) return refuse(failure('backend_failed', 'value_too_large'));
      if (length < buffer.length) continue;
      const larger = allocateSecretBytes(Math.min(buffer.length * 2, maxBytes + 1));
      copySecretBytes(buffer, larger);
      buffer.fill(0);
      buffer = larger;
    }
  } catch (error) {
    return refuse(failureOfEntry(error));
  }
}

function withRoot<T>(
  root: string,
  use: (directory: number, standsAt: Buffer) => T | BackendFailure | Promise<T | BackendFailure>,
): Promise<T | BackendFailure> {
  return holding({ path: root, isDirectory: true }, failureOfRoot, (directory) => {
    let standsAt: Buffer;
    try {
      standsAt = placeOf(directory);
    } catch {
      return failure('backend_unavailable', 'proc_missing');
    }
    return use(directory, standsAt);
  });
}

/** Holds, uses and lets go, and turns what the system refuses into an answer. */
async function holding<T>(
  place: Place,
  failureOf: (error: unknown) => BackendFailure,
  use: (fd: number) => T | Promise<T>,
): Promise<T | BackendFailure> {
  let fd: number;
  try {
    fd = await holdFile(place);
  } catch (error) {
    return failureOf(error);
  }
  try {
    return await use(fd);
  } finally {
    letGoOf(fd);
  }
}

/**
 * Where what is held stands, without any symlink, which the kernel knows without a look at a disk. In bytes: two names
 * that are not UTF-8 may look the same as text.
 */
function placeOf(fd: number): Buffer {
  return readlinkSync(descriptorPath(fd), { encoding: 'buffer' });
}

function isBelow(place: Buffer, directory: Buffer): boolean {
  const above = directory.equals(SLASH) ? SLASH : Buffer.concat([directory, SLASH]);
  return place.subarray(0, above.length).equals(above);
}

function failureOfRoot(error: unknown): BackendFailure {
  return isOneOf(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG', 'EACCES', 'EPERM')
    ? failure('backend_unavailable', 'root_missing')
    : failure('backend_unavailable', 'cannot_read');
}

function failureOfEntry(error: unknown): BackendFailure {
  if (isOneOf(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG')) return NO_ENTRY;
  if (isOneOf(error, 'EACCES', 'EPERM')) return failure('backend_failed', 'permission_denied');
  return failure('backend_unavailable', 'cannot_read');
}

function isOneOf(error: unknown, ...codes: readonly string[]): boolean {
  return codes.includes(String((error as NodeJS.ErrnoException).code));
}
