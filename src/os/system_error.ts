import { getSystemErrorMap } from 'node:util';

/** `no such file or directory (ENOENT)`: what a system error's own message says, without the path. */
export function describeSystemError(error: unknown): string {
  const { code, errno } = error as NodeJS.ErrnoException;
  const [, text] = getSystemErrorMap().get(errno ?? 0) ?? [];
  return text === undefined ? String(code) : `${text} (${String(code)})`;
}
