import { lstatSync } from 'node:fs';
import { dirname } from 'node:path';
import { isSameFile, lookAtPath } from '../os/path_look.js';

export interface AuditPathSurroundings {
  readonly launchFile: string;
  /** Undefined where what names it is wrong. */
  readonly secretsFile: string | undefined;
  /** Whether a daemon is to run where this is looked at. */
  readonly runsHere: boolean;
}

/**
 * What is wrong with the file that audit records are to go to, as far as it shows to whoever looks; null when nothing
 * does. What may be opened, and by whom, only the opening shows.
 */
export function auditPathProblem(path: string, surroundings: AuditPathSurroundings): string | null {
  const { launchFile, secretsFile, runsHere } = surroundings;
  const look = lookAtPath(path);
  if (look === 'unknown') return null;
  if (look === 'nothing') return runsHere ? folderProblem(dirname(path)) : null;
  if (look.isDirectory()) return 'is a folder: name a file in it';
  // Their next reader would find the records in them, whatever name has led there.
  if (isSameFile(look, lookAtPath(launchFile))) return 'is the launch file itself: name another';
  if (secretsFile !== undefined && isSameFile(look, lookAtPath(secretsFile))) {
    return 'is the secrets file itself: name another';
  }
  if (look.isFile() || look.isFIFO() || look.isCharacterDevice()) return null;
  // Where a link leads, as /dev/stderr, may be another thing for each process.
  return isSameFile(look, lookAtPath(path, lstatSync))
    ? 'is no file that records can be appended to: name another'
    : null;
}

function folderProblem(folder: string): string | null {
  const look = lookAtPath(folder);
  if (look === 'nothing') return `stands in a folder that is not there (${folder}): make it, or name another file`;
  return look === 'unknown' || look.isDirectory() ? null : `stands in what is no folder (${folder}): name another file`;
}
