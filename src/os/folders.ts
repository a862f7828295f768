import { lstatSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Makes a folder and those above it where they are not there, and tells each that it has made. Node's own way to do
 * this never ends where the kernel lets nobody make anything and says that nothing is there, as in /proc.
 */
export function makeFolders(folder: string, mode: number, whenMade: (folder: string) => void = () => undefined): void {
  if (lstatSync(folder, { throwIfNoEntry: false }) !== undefined) return;
  makeFolders(dirname(folder), mode, whenMade);
  const isOurs = made(() => {
    mkdirSync(folder, mode);
  });
  if (isOurs) whenMade(folder);
}

/** False where there is something of that name already. */
export function made(action: () => void): boolean {
  try {
    action();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}
