/** What `init` writes of one backend, for a role that is an identifier. */
export interface FirstStore {
  /** The keys of the store, as lines of YAML. */
  readonly store: (role: string) => readonly string[];
  /** What the location of the one ref, `example_key`, stands for. */
  readonly location: (role: string) => string;
  /** The commands that put a value there, in a shell; `at` gives the word for a path beside the files. */
  readonly fill: (role: string, at: (path: string) => string) => readonly string[];
}

/** A row for each backend, in the order of the table of backends. */
export const FIRST_STORES = {
  gopass: {
    store: (role) => ['backend: gopass', `root: mxm/${role}`],
    location: (role) => `the entry mxm/${role}/example_key of your gopass store`,
    fill: (role) => [`gopass insert mxm/${role}/example_key`],
  },
  env: {
    store: (role) => ['backend: env', `root: mxm/${role}`],
    location: (role) => `the variable MXM_${role.toUpperCase()}_EXAMPLE_KEY of the daemon's environment`,
    fill: (role) => [`export MXM_${role.toUpperCase()}_EXAMPLE_KEY=…`],
  },
  pass: {
    store: (role) => ['backend: pass', `root: store/${role}`],
    location: (role) => `the file store/${role}/example_key.gpg beside this one`,
    fill: (role, at) => [
      `mkdir -p ${at(`store/${role}`)}`,
      `gpg --encrypt --recipient YOUR_KEY --output ${at(`store/${role}/example_key.gpg`)}`,
    ],
  },
  age: {
    store: (role) => ['backend: age', `root: store/${role}`, 'identity_file: identity.txt'],
    location: (role) => `the file store/${role}/example_key.age beside this one`,
    fill: (role, at) => [
      `mkdir -p ${at(`store/${role}`)}`,
      `age-keygen -o ${at('identity.txt')}`,
      `age -e -i ${at('identity.txt')} -o ${at(`store/${role}/example_key.age`)}`,
    ],
  },
  file: {
    store: (role) => ['backend: file', `root: store/${role}`],
    location: (role) => `the file store/${role}/example_key beside this one`,
    fill: (role, at) => [`mkdir -p ${at(`store/${role}`)}`, `(umask 077 && cat > ${at(`store/${role}/example_key`)})`],
  },
  openbao: {
    store: (role) => [
      'backend: openbao',
      `root: mxm/${role}`,
      'address: http://127.0.0.1:8200',
      'auth: { token_file: token }',
    ],
    location: (role) => `the KV secret mxm/${role}/example_key of the mount secret, its key "value"`,
    fill: (role, at) => [
      `(umask 077 && cat > ${at('token')})`,
      `bao kv put -mount=secret mxm/${role}/example_key value=-`,
    ],
  },
} as const satisfies Record<string, FirstStore>;

export type FirstBackend = keyof typeof FIRST_STORES;

export const FIRST_BACKENDS = Object.freeze(Object.keys(FIRST_STORES)) as readonly FirstBackend[];

export function isFirstBackend(text: string): text is FirstBackend {
  return Object.hasOwn(FIRST_STORES, text);
}
