import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** Whatever ends: a test or a suite. */
export interface Ending {
  teardown(callback: () => unknown): void;
}

/** A folder of the test's own with a short path, as sockets need one, gone when the test is. */
export function temporaryFolder(t: Ending): string {
  const folder = mkdtempSync(join(tmpdir(), 'mxm-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Writes a file that only its owner may write, whatever the umask, and gives its path. */
export function writeFile(folder: string, name: string, content: string | Buffer, mode = 0o600): string {
  const file = join(folder, name);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(file, content);
  chmodSync(file, mode);
  return file;
}
