import { resolve as pathOf } from 'node:path';
import { type AllowedDecision, authorize, type Decision, readableNames } from './authorize.js';
import type { Backend, BackendKind, BackendSurroundings } from './backends/backend.js';
import { withPatience } from './backends/patience.js';
import { BACKENDS } from './backends/table.js';
import { identityProblems } from './config/identity.js';
import { ConfigError, type ConfigProblem } from './config/problems.js';
import { IDENTIFIER_RULE } from './config/schema.js';
import { checkRegistries, checkSecrets, type Registries, secretsPath } from './config/secrets_config.js';
import { type ErrorCode, SecretsError } from './domain/errors.js';
import { isIdentifier } from './domain/identifier.js';
import { principalOf, type RuntimeIdentity } from './domain/identity.js';
import { allocateSecretBytes, copySecretBytes, isUtf8 } from './domain/secret_bytes.js';
import type { ResolvedSecretLocation, SecretRef, SecretStore } from './domain/secrets.js';
import type { EndSignal } from './ending.js';
import { createGate, type Gate } from './gate.js';
import { type Limits, limitsOf } from './limits.js';
import { createReadiness, type Readiness } from './readiness.js';
import { resolve } from './resolve.js';
import { createRetriever, type Retriever, type SecretLease } from './retrieve.js';

export interface SecretsApiOptions {
  /** Of `fromConfigData`: what relative paths of stores are relative to; default: the working directory. */
  readonly folder?: string;
  readonly limits?: Partial<Limits>;
  /** Where `env` stores and the search for programs look; default: the environment of this process. */
  readonly environment?: BackendSurroundings['environment'];
  /** Variables that `env` stores find here and no more in the environment. */
  readonly taken?: BackendSurroundings['taken'];
  /** Shared by several instances that are to keep one bound together; default: one of its own. */
  readonly gate?: Gate;
  /** The instance that this one takes the place of: what keeps a store of both unready goes on doing so. */
  readonly replaces?: SecretsApi | undefined;
  /** Told of each backend call that has ended, and of the seconds that it took. */
  readonly onBackendCall?: (store: SecretStore, seconds: number) => void;
}

export interface GetSecretOptions<D> {
  /** What asks, by the rules of the launch file; its `role` is the principal. Never inferred. */
  readonly identity: RuntimeIdentity;
  /** Stands in for a backend's failure or a missing entry, never for a denied or unknown name. */
  readonly default?: D;
  /** Ends the wait; the last one to leave ends the backend call. */
  readonly signal?: AbortSignal;
}

const DEFAULT_STANDS_IN: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'secret_not_found',
  'backend_failed',
  'backend_unavailable',
  'backend_locked',
  'backend_timeout',
]);

/** Authorization-aware access to configured secrets: ref → principal → policy → store → location → backend → bytes. */
export class SecretsApi {
  readonly #registries: Registries;
  readonly #retriever: Retriever;
  readonly #readiness: Readiness;
  readonly #locations = new Map<SecretRef, ResolvedSecretLocation>();

  /**
   * From plain data in the shape of the secrets file, with its rules. Throws a ConfigError that lists every problem.
   */
  static fromConfigData(
    data: { stores: unknown; refs: unknown; policies: unknown },
    options: SecretsApiOptions = {},
  ): SecretsApi {
    const problems: ConfigProblem[] = [];
    const tell = (pointer: string, message: string): void => {
      problems.push({ path: secretsPath(data, pointer), message });
    };
    const registries = checkSecrets(data, '', tell, {
      folder: options.folder === undefined ? undefined : pathOf(options.folder),
      environment: options.environment ?? process.env,
    });
    if (registries === undefined) throw new ConfigError(problems);
    return new SecretsApi(registries, options);
  }

  /** From registries. Throws a ConfigError where they do not fit together, or a limit is out of its range. */
  constructor(registries: Registries, options: SecretsApiOptions = {}) {
    const surroundings = { environment: options.environment ?? process.env, taken: options.taken };
    const problems: ConfigProblem[] = [];
    const tell = (path: string, message: string): void => void problems.push({ path, message });
    const limits = limitsOf(options.limits ?? {}, tell);
    checkRegistries(registries, tell);
    if (problems.length > 0) throw new ConfigError(problems);
    const backends = new Map<string, Backend>();
    for (const store of registries.stores.values()) {
      const kind = BACKENDS.get(store.backend) as BackendKind;
      const backend = kind.open(store, surroundings);
      // Nobody can end the read of a file; a program and a connection are ended at the abort.
      backends.set(store.name, kind.rootIsDirectory ? withPatience(backend) : backend);
    }
    const backendOf = (store: string): Backend => backends.get(store) as Backend;

    this.#registries = registries;
    const { replaces } = options;
    const before = replaces && replaces.#readiness;
    this.#readiness = createReadiness([...registries.stores.values()], backendOf, limits.backendTimeoutMs, before);
    this.#retriever = createRetriever({
      backendOf,
      gate: options.gate ?? createGate(() => limits),
      limits,
      onAnswer: (store, answer, seconds) => {
        this.#readiness.noteAnswer(store, answer);
        options.onBackendCall?.(registries.stores.get(store) as SecretStore, seconds);
      },
    });
  }

  /** The value as text. Rejects with a SecretsError: `not_acceptable` when the value is not UTF-8. */
  async getSecret<D = never>(name: string, options: GetSecretOptions<D>): Promise<string | D> {
    return this.#get(name, options, (value) => {
      if (!isUtf8(value)) throw new SecretsError('not_acceptable');
      return value.toString('utf8');
    });
  }

  /** The value in a Buffer that is the caller's, to be filled with zeros after use. Rejects with a SecretsError. */
  async getSecretBytes<D = never>(name: string, options: GetSecretOptions<D>): Promise<Buffer | D> {
    return this.#get(name, options, (value) => {
      const copy = allocateSecretBytes(value.length);
      copySecretBytes(value, copy);
      return copy;
    });
  }

  async #get<T, D>(name: string, options: GetSecretOptions<D>, use: (value: Buffer) => T): Promise<T | D> {
    checkOptions(options);
    if (!isIdentifier(name)) throw new SecretsError('invalid_secret_name');
    const decision = this.decide(name, options.identity);
    if (decision.decision === 'unknown') throw new SecretsError('unknown_secret');
    if (decision.decision === 'denied') throw new SecretsError('access_denied');
    let lease: SecretLease;
    try {
      lease = await this.retrieve(decision, options.signal);
    } catch (error) {
      if ('default' in options && error instanceof SecretsError && DEFAULT_STANDS_IN.has(error.code)) {
        return options.default;
      }
      throw error;
    }
    try {
      return use(lease.value);
    } finally {
      lease.release();
    }
  }

  /** Pure: what the configuration says, without touching a backend. */
  decide(name: string, identity: RuntimeIdentity): Decision {
    if (!isIdentifier(identity.role)) throw invalidRequest(`identity.role ${IDENTIFIER_RULE}`);
    const { refs, policies } = this.#registries;
    return authorize(name, principalOf(identity), refs, policies);
  }

  /** The bytes behind a decision; see Retriever.retrieve. */
  retrieve(decision: AllowedDecision, signal?: EndSignal): SecretLease | Promise<SecretLease> {
    return this.#retriever.retrieve(this.#locationOf(decision), signal);
  }

  /** The registries never change. */
  #locationOf(decision: AllowedDecision): ResolvedSecretLocation {
    const known = this.#locations.get(decision.ref);
    if (known !== undefined) return known;
    const location = resolve(decision, this.#registries.stores);
    this.#locations.set(decision.ref, location);
    return location;
  }

  /** The names that this identity may read, sorted. */
  names(identity: RuntimeIdentity): string[] {
    return readableNames(principalOf(identity), this.#registries.refs, this.#registries.policies);
  }

  /** Every configured ref, in the order of the names. */
  refs(): readonly SecretRef[] {
    const { refs } = this.#registries;
    return refs.names().map((name) => refs.get(name) as SecretRef);
  }

  storeOf(ref: SecretRef): SecretStore | undefined {
    return this.#registries.stores.get(ref.store);
  }

  /** Probes every store; decrypts nothing. */
  readiness(): ReturnType<Readiness['stores']> {
    return this.#readiness.stores();
  }

  /** Whether every store's backend is ready. */
  async checkReady(): Promise<boolean> {
    return [...(await this.readiness()).values()].every(({ status }) => status === 'ready');
  }
}

/** JavaScript may bring anything. */
function checkOptions(options: Partial<GetSecretOptions<unknown>> | null | undefined): void {
  const problems = identityProblems(options?.identity);
  const signal = options?.signal as Partial<AbortSignal> | null | undefined;
  if (signal !== undefined && typeof signal?.addEventListener !== 'function') {
    problems.push('signal must be an AbortSignal');
  }
  if (problems.length > 0) throw invalidRequest(problems.join('; '));
}

function invalidRequest(wrong: string): SecretsError {
  const error = new SecretsError('invalid_request');
  error.message = `${error.code}: ${wrong}`;
  return error;
}
