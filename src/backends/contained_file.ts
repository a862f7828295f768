import { constants } from 'node:fs';
import { type FileHandle, open, readlink } from 'node:fs/promises';
import { allocateSecretBytes, copySecretBytes } from '../domain/secret_bytes.js';
import { onDisk } from '../os/disk.js';
import { type BackendFailure, failure, type ProbeAnswer } from './backend.js';

/**
 * Linux's O_PATH, which Node has no name for: a descriptor that stands for a file without opening it, so that a FIFO
 * does not wait, a device does nothing, and no right to read is asked for.
 */
const O_PATH = 0o10_000_000;

const READ_AT_ONCE = 1_048_576;

const SLASH = Buffer.from('/');

const TIMED_OUT = failure('backend_timeout', 'timeout');
const NO_ENTRY = failure('secret_not_found', 'entry_missing');

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
  signal: AbortSignal,
  use: (file: FileHandle) => Promise<T>,
): Promise<T | BackendFailure> {
  return withRoot(root, async (directory, standsAt) => {
    if (signal.aborted) return TIMED_OUT;
    return attempt(
      () => open(`${descriptorPath(directory)}/${path}`, O_PATH),
      failureOfEntry,
      async (held) => {
        const refusal = await refusalOf(held, standsAt);
        if (refusal !== null) return refusal;
        if (signal.aborted) return TIMED_OUT;
        return attempt(() => open(descriptorPath(held), constants.O_RDONLY), failureOfEntry, use);
      },
    );
  });
}

/** Null when what is held is a regular file below the directory. */
async function refusalOf(held: FileHandle, directory: Buffer): Promise<BackendFailure | null> {
  try {
    const stat = await onDisk(() => held.stat());
    if (!isBelow(await placeOf(held), directory) || stat.isDirectory()) return NO_ENTRY;
    return stat.isFile() ? null : failure('backend_failed', 'no_regular_file');
  } catch (error) {
    return failureOfEntry(error);
  }
}

/** Whether the directory is there. */
export function probeDirectory(root: string): Promise<ProbeAnswer> {
  return withRoot(root, () => Promise.resolve({ ok: true }));
}

/** The bytes of a file in a Buffer of the receiver's own; `too_large` above `maxBytes`. */
export async function readBounded(
  file: FileHandle,
  maxBytes: number,
  signal: AbortSignal,
): Promise<Buffer | BackendFailure> {
  let buffer = allocateSecretBytes(0);
  let length = 0;
  const refuse = (refusal: BackendFailure): BackendFailure => {
    buffer.fill(0);
    return refusal;
  };
  try {
    const { size } = await onDisk(() => file.stat());
    if (size > maxBytes) return failure('backend_failed', 'value_too_large');
    // One more than the file has, to see its end; it may grow until then.
    buffer = allocateSecretBytes(size + 1);
    for (;;) {
      if (signal.aborted) return refuse(TIMED_OUT);
      const room = Math.min(buffer.length - length, READ_AT_ONCE);
      const { bytesRead } = await onDisk(() => file.read(buffer, length, room, null));
      if (bytesRead === 0) return buffer.subarray(0, length);
      length += bytesRead;
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
  use: (directory: FileHandle, standsAt: Buffer) => Promise<T>,
): Promise<T | BackendFailure> {
  return attempt(
    () => open(root, O_PATH | constants.O_DIRECTORY),
    failureOfRoot,
    async (directory) => {
      let standsAt: Buffer;
      try {
        standsAt = await placeOf(directory);
      } catch {
        return failure('backend_unavailable', 'proc_missing');
      }
      return use(directory, standsAt);
    },
  );
}

/** Opens, uses and closes, and turns what the system refuses into an answer. */
async function attempt<T>(
  opening: () => Promise<FileHandle>,
  failureOf: (error: unknown) => BackendFailure,
  use: (file: FileHandle) => Promise<T>,
): Promise<T | BackendFailure> {
  let file: FileHandle;
  try {
    file = await onDisk(opening);
  } catch (error) {
    return failureOf(error);
  }
  try {
    return await use(file);
  } finally {
    await onDisk(() => file.close());
  }
}

/** Leads the kernel to the very file that is held, wherever it stands by now. */
function descriptorPath({ fd }: FileHandle): string {
  return `/proc/self/fd/${fd}`;
}

/** Where what is held stands, without any symlink. In bytes: two names that are not UTF-8 may look the same as text. */
function placeOf(held: FileHandle): Promise<Buffer> {
  return onDisk(() => readlink(descriptorPath(held), { encoding: 'buffer' }));
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
