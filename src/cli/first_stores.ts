/** What `init` writes of one backend, for a role that is an identifier. */
export interface FirstStore {
  /** The keys of the store, as lines of YAML. */
  readonly store: (role: string) => readonly string[];
  /** What the location of the one ref, `example_key`, stands for. */
  readonly location: (role: string) => string;
  /** The command that puts a value there, in a shell. */
  readonly fill: (role: string) => string;
}

/** A row for each backend, in the order of the table of backends. */
export const FIRST_STORES = {
  gopass: {
    store: (role) => ['backend: gopass', `root: mxm/${role}`],
    location: (role) => `the entry mxm/${role}/example_key of your gopass store`,
    fill: (role) => `gopass insert mxm/${role}/example_key`,
  },
  env: {
    store: (role) => ['backend: env', `root: mxm/${role}`],
    location: (role) => `the variable MXM_${role.toUpperCase()}_EXAMPLE_KEY of the daemon's environment`,
    fill: (role) => `export MXM_${role.toUpperCase()}_EXAMPLE_KEY=…`,
  },
} as const satisfies Record<string, FirstStore>;

export type FirstBackend = keyof typeof FIRST_STORES;

export const FIRST_BACKENDS = Object.freeze(Object.keys(FIRST_STORES)) as readonly FirstBackend[];

export function isFirstBackend(text: string): text is FirstBackend {
  return Object.hasOwn(FIRST_STORES, text);
}
