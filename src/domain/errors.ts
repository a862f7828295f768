/**
 * Every way in which a request for a secret can end other than with its bytes. The texts are fixed: nothing that
 * a backend said, and no place where a secret lives, can enter them. The HTTP status of a code stands in
 * http/status.ts, the exit status in cli/exit_status.ts.
 */
const ERRORS = {
  not_found: { retryable: false, title: 'Not found', text: 'there is no such route' },
  method_not_allowed: { retryable: false, title: 'Method not allowed', text: 'only GET is answered here' },
  peer_denied: {
    retryable: false,
    title: 'Peer denied',
    text: 'socket.allow of this daemon lists neither the user nor a group of the process that connected',
  },
  shutting_down: { retryable: true, title: 'Shutting down', text: 'the daemon is stopping and takes no new requests' },
  invalid_request: {
    retryable: false,
    title: 'Invalid request',
    text: 'a request carries no query string, no body and no forwarding header (Forwarded, X-Forwarded-*, Via)',
  },
  invalid_secret_name: {
    retryable: false,
    title: 'Invalid secret name',
    text: 'a secret name is a lower-case letter, then lower-case letters, digits and underscores, 128 at most',
  },
  unknown_secret: { retryable: false, title: 'Unknown secret', text: 'no ref of that name is configured' },
  access_denied: {
    retryable: false,
    title: 'Access denied',
    text: 'the policy of this secret does not list the principal of this daemon',
  },
  not_acceptable: {
    retryable: false,
    title: 'Not acceptable',
    text: 'a secret is given as application/json, text/plain or application/octet-stream',
  },
  secret_not_found: {
    retryable: false,
    title: 'Secret not found',
    text: 'the ref is configured, but its store has no such entry, or the entry no such field',
  },
  backend_failed: {
    retryable: false,
    title: 'Backend failed',
    text: 'the backend answered, but not with a secret',
  },
  backend_unavailable: {
    retryable: true,
    title: 'Backend unavailable',
    text: 'the backend cannot be asked at present',
  },
  backend_locked: {
    retryable: true,
    title: 'Backend locked',
    text: 'the key of the store needs a passphrase: unlock it for the user of the daemon',
  },
  backend_timeout: { retryable: true, title: 'Backend timeout', text: 'the backend did not answer in time' },
  overloaded: { retryable: true, title: 'Overloaded', text: 'too much is waiting already' },
  audit_unavailable: {
    retryable: true,
    title: 'Audit unavailable',
    text: 'the audit record cannot be written, so nothing is handed out',
  },
  internal_error: { retryable: false, title: 'Internal error', text: 'a defect of the daemon: please report it' },
} as const satisfies Record<string, { retryable: boolean; title: string; text: string }>;

export type ErrorCode = keyof typeof ERRORS;

export const ERROR_CODES = Object.freeze(Object.keys(ERRORS)) as readonly ErrorCode[];

export function isErrorCode(text: unknown): text is ErrorCode {
  return typeof text === 'string' && Object.hasOwn(ERRORS, text);
}

export function describeError(code: ErrorCode): { readonly title: string; readonly text: string } {
  return ERRORS[code];
}

/** Whether the same request may succeed later, without a change by anybody who asks. */
export function isRetryable(code: ErrorCode): boolean {
  return ERRORS[code].retryable;
}

/** Codes that a backend, or the call to it, can end with. */
export type BackendErrorCode = Extract<
  ErrorCode,
  'secret_not_found' | 'backend_failed' | 'backend_unavailable' | 'backend_locked' | 'backend_timeout'
>;

/**
 * Why a backend did not give a secret: for the operator, in the log and in `check`. Each says what to do, and
 * none carries anything that a backend printed.
 */
const REASONS = {
  agent_unreachable: 'the gpg-agent of the daemon user cannot be reached: start it, or allow gpg to start it',
  binary_missing: 'the program is not there: install it, or name it with "binary" (of a pass store: "gpg")',
  cannot_read:
    'the store cannot be read at present (an I/O error, too many open files): look for its reason in the system log',
  cannot_start: 'the program cannot be started or reports a broken set-up: run it by hand as the daemon user',
  credential_unreadable:
    'a file that "auth" or "ca_file" names cannot be read or holds nothing of use: correct it or its rights',
  credentials_missing:
    'the store begins with $CREDENTIALS_DIRECTORY, which is not set: add LoadCredential= to the unit that asks',
  decrypt_failed:
    'the entry cannot be decrypted and may be damaged, or as an age file have too many recipients: write it anew',
  empty_value: 'the entry is empty: write a value into it',
  entry_missing: 'the store has no such entry: compare "root" and "path" with the store',
  field_missing: 'the entry has no such field: compare "field" with the keys of the entry',
  field_not_text: 'the field is no text but a number, a list or a mapping: name another',
  identity_locked:
    'the file that "identity_file" names is itself encrypted: decrypt it, and hand it over as a systemd credential',
  identity_mismatch: 'no identity of "identity_file" can decrypt the entry: encrypt it to the recipient of one',
  identity_missing: 'the file that "identity_file" names is not there, or the daemon user may not read it',
  identity_unusable:
    'the file that "identity_file" names holds no native age identities (AGE-SECRET-KEY-1…) or more than these, as keys of ssh: see age-keygen',
  key_locked:
    'the key needs a passphrase that nobody can type: unlock it for the daemon user, or use a key without one',
  key_missing:
    'the secret key is not in the keyring of the daemon user: import it, or encrypt the entry to a key that is',
  killed_by_signal: 'the program was ended by a signal: look for its reason in the system log',
  login_refused:
    'the server refuses the login: compare "role_id_file", "secret_id_file" and "mount" of "auth" with its AppRole',
  no_regular_file: 'the entry is a FIFO, a socket or a device: put a file in its place',
  not_initialised: 'the store is not initialised for the daemon user: run the set-up as that user',
  not_kv2: 'the mount is no KV engine of version 2: name one with "mount"',
  other_program:
    'another program was found (Debian packages one of the name gopass), or a script in its place that closes descriptor 3: name the right one with "binary" (of a pass store: "gpg")',
  passphrase_entry: 'the entry is encrypted with a passphrase that nobody can type: encrypt it to a recipient',
  permission_denied: 'the daemon user may not read the entry: see the modes of the file and of its folders',
  proc_missing: 'this backend needs Linux with /proc, to see what it has opened: mount it, or use another backend',
  program_too_old: 'the program is older than the oldest supported version: update it',
  root_missing: 'the directory that "root" names is not there, or the daemon user may not enter it',
  server_busy: 'the server limits the rate of requests: ask less often, or raise its quota',
  server_denied:
    'the server does not let this token read there: extend its policy, or correct "mount", "root" and "path"',
  server_error: 'the server reports an error of its own: look into its log',
  server_sealed: 'the server is sealed: unseal it',
  server_standby: 'the server stands by for another one and sends us away: name the active one with "address"',
  server_unreachable: 'no server answers at the address: see that it runs, and compare "address"',
  server_untrusted: 'the certificate of the server is not trusted: name its CA with "ca_file", or correct "address"',
  timeout: 'the backend did not answer within backend_timeout_ms: see what it waits for, or allow it more',
  token_refused:
    'the server does not accept the token, which may have expired: put a valid one into "token_file", or of an AppRole see "token_num_uses" and "token_bound_cidrs"',
  unexpected_answer: 'the backend ended in a way that is not known: run it by hand as the daemon user',
  value_too_large: 'the value is larger than max_value_bytes: correct the entry, or allow more',
  webassembly_missing: 'this backend needs WebAssembly, which Node does not have with --jitless: start it without that',
  yaml_invalid:
    'the entry has a `---` line and no YAML below it, so that it cannot be told where the field ends: write it anew, or ask for the whole entry',
  yaml_too_large:
    'the YAML part of the entry has more than 10,000 tokens or 100 levels: make it smaller, or ask for the whole entry',
} as const satisfies Record<string, string>;

export type Reason = keyof typeof REASONS;

export const REASON_NAMES = Object.freeze(Object.keys(REASONS)) as readonly Reason[];

export function describeReason(reason: Reason): string {
  return REASONS[reason];
}

/** A request for a secret that did not end with its bytes. Its message is the fixed text of its code. */
export class SecretsError extends Error {
  override readonly name = 'SecretsError';
  readonly code: ErrorCode;
  readonly reason: Reason | null;

  constructor(code: ErrorCode, reason: Reason | null = null) {
    super(`${code}: ${describeError(code).text}`);
    this.code = code;
    this.reason = reason;
  }

  get retryable(): boolean {
    return isRetryable(this.code);
  }
}
