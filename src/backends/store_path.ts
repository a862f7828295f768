import { isAbsolute, resolve } from 'node:path';
import type { SecretStore } from '../domain/secrets.js';

/** The one variable that a path in the secrets file may begin with: where systemd puts the credentials of a unit. */
const VARIABLE = 'CREDENTIALS_DIRECTORY';

type Environment = Readonly<Record<string, string | undefined>>;

/** Whether the whole first segment of a path is `$CREDENTIALS_DIRECTORY`. */
export function beginsWithCredentials(path: string): boolean {
  return path === `$${VARIABLE}` || path.startsWith(`$${VARIABLE}/`);
}

/** Absolute; undefined where the variable is not set, or not to what systemd sets it to. */
export function credentialsDirectory(environment: Environment): string | undefined {
  const directory = environment[VARIABLE];
  return directory !== undefined && isAbsolute(directory) ? directory : undefined;
}

/** Makes a path of a store absolute: what is relative is so to the folder of the secrets file. No variable counts. */
export function absoluteStorePath(path: string, { folder }: SecretStore): string {
  return resolve(folder ?? '', path);
}

/**
 * The same for a `root` that is a directory and for a key that ends in `_file`, which may begin with
 * `$CREDENTIALS_DIRECTORY`. Undefined where that is not set.
 */
export function expandStorePath(path: string, store: SecretStore, environment: Environment): string | undefined {
  if (!beginsWithCredentials(path)) return absoluteStorePath(path, store);
  const directory = credentialsDirectory(environment);
  return directory && resolve(directory, `.${path.slice(VARIABLE.length + 1)}`);
}

/** The path of the ref that a location of this store is made of. */
export function pathBelowRoot(location: string, { root }: SecretStore): string {
  return location.slice(root.replace(/\/+$/, '').length + 1);
}
