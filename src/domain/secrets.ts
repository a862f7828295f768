/** A public secret name, bound to the place of its value and to the policy that guards it. */
export interface SecretRef {
  readonly name: string;
  /** Name of a SecretStore. */
  readonly store: string;
  /** Relative to the store's root. Never shown to a caller, in an error or in a log. */
  readonly path: string;
  /** Name of a SecretPolicy. */
  readonly policy: string;
  /** A key of the entry; without it the value is the whole entry. */
  readonly field?: string;
}

/** A configured secret authority: a backend, the place in it where paths begin, and the backend's own keys. */
export interface SecretStore {
  readonly name: string;
  readonly backend: string;
  /** Never shown to a caller, in an error or in a log. */
  readonly root: string;
  /** Absolute: what its relative paths are relative to, the folder of the secrets file. Default: the working directory. */
  readonly folder?: string;
  /** Further keys of the store, as the backend's schema allows them. */
  readonly options: Readonly<Record<string, unknown>>;
}

/** The principals that may read the refs that name this policy. Empty denies everybody. */
export interface SecretPolicy {
  readonly name: string;
  readonly allowedPrincipals: readonly string[];
}

/** Where the value of an authorized ref lives. */
export interface ResolvedSecretLocation {
  readonly ref: SecretRef;
  readonly store: SecretStore;
  /** What the backend is asked for. Never shown to a caller, in an error or in a log. */
  readonly location: string;
}
