/** What this process is, as its launch configuration says: never inferred, never taken from a request. */
export interface RuntimeIdentity {
  readonly machine: string;
  readonly environment: string;
  /** An identifier. */
  readonly role: string;
  readonly app?: string;
  readonly substrate?: string;
}

/** Who asks, as policies name it: an identifier. */
export type Principal = string;

export function principalOf(identity: RuntimeIdentity): Principal {
  return identity.role;
}
