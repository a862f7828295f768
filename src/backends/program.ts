import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';
import { type Native, native } from '../os/native.js';

/** What a program prints of its version, with room to spare. */
export const MAX_VERSION_BYTES = 4_096;

/** Finds programs by name on the PATH that the process was started with. */
export function findProgram(
  name: string,
  environment: Readonly<Record<string, string | undefined>>,
): string | undefined {
  for (const folder of (environment['PATH'] ?? '').split(delimiter)) {
    // A relative folder would make the working directory part of what is trusted.
    if (!isAbsolute(folder)) continue;
    const file = join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      if (statSync(file).isFile()) return file;
    } catch {
      continue;
    }
  }
  return undefined;
}

/** Changes whenever the file at this path is another one or has other contents; undefined where none can be seen. */
export function fileFingerprint(file: string, kernel: Native | null = native): string | undefined {
  const seen = kernel?.fingerprint(file);
  if (seen !== undefined) return seen;
  try {
    const stat = statSync(file, { bigint: true });
    return [stat.dev, stat.ino, stat.size, stat.mtimeNs, stat.ctimeNs, stat.mode].join(':');
  } catch {
    return undefined;
  }
}
