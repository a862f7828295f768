import { stringify } from 'yaml';
import type { RuntimeIdentity } from '../domain/identity.js';
import { FIRST_STORES, type FirstBackend, type FirstStore } from './first_stores.js';

export type FirstIdentity = Pick<RuntimeIdentity, 'machine' | 'environment' | 'role'>;

/** Beside the files. */
export const FIRST_SOCKET = 'run/secrets.sock';

export interface FirstFiles {
  readonly launch: string;
  readonly secrets: string;
  /** The commands that give the example its value; `at` gives the word for a path beside the files. */
  readonly fill: (at: (path: string) => string) => readonly string[];
}

/** Two files that fit together, with one secret that the role may read. */
export function firstFiles({ machine, environment, role }: FirstIdentity, backend: FirstBackend): FirstFiles {
  const { store, location, fill }: FirstStore = FIRST_STORES[backend];
  return {
    launch: `# What this daemon is, and where it listens. Relative paths are relative to this file.
identity:
  machine: ${scalar(machine)}
  environment: ${scalar(environment)}
  role: ${scalar(role)} # the principal that the policies name
secrets: secrets.yaml
socket:
  path: ${FIRST_SOCKET}
  mode: "0600"
`,
    secrets: `# Which secrets there are, where they live and who may read them.
stores:
  main:
${store(role)
  .map((line) => `    ${line}\n`)
  .join('')}refs:
  example_key: # ${location(role)}
    store: main
    path: example_key
    policy: readers
policies:
  readers:
    allowed_principals: [${scalar(role)}] # no rule that matches means denied
`,
    fill: (at) => fill(role, at),
  };
}

/** Any text on one line, in quotes where YAML would read something else. */
function scalar(text: string): string {
  return stringify(text, { lineWidth: 0, version: '1.2' }).trimEnd();
}
