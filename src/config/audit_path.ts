import { isSameFile, lookAtPath } from '../os/path_look.js';

/**
 * What is wrong with the file that audit records are to go to, as far as one look tells; null when nothing is. Records
 * in a configuration file would be what the next start reads, whatever name leads to it.
 */
export function auditPathProblem(path: string, launchFile: string, secretsFile: string | undefined): string | null {
  const look = lookAtPath(path);
  if (isSameFile(look, lookAtPath(launchFile))) return 'is the launch file itself: name another';
  if (secretsFile !== undefined && isSameFile(look, lookAtPath(secretsFile))) {
    return 'is the secrets file itself: name another';
  }
  return null;
}
