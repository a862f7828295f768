import type { TProperties } from '@sinclair/typebox';
import type { BackendErrorCode, Reason } from '../domain/errors.js';
import type { SecretRef, SecretStore } from '../domain/secrets.js';
import type { EndSignal } from '../ending.js';
import type { TakenVariables } from '../os/environment.js';

export interface BackendRequest {
  /** Root and path, joined; what it means is the backend's own. */
  readonly location: string;
  /** A key of the entry; without it the value is the whole entry. */
  readonly field?: string;
  /** Bytes that the entry (without its trailing line endings) may have at most. */
  readonly maxBytes: number;
  /**
   * Aborted when time is up or nobody waits any more. The time begins when it is first read, so a backend that may have
   * to wait reads it at once.
   */
  readonly signal: EndSignal;
}

export interface BackendFailure {
  readonly ok: false;
  readonly code: BackendErrorCode;
  /** For the operator, out of a closed list; nothing that the backend printed. */
  readonly reason: Reason;
}

/** The value is the receiver's alone: a Buffer that nothing else refers to, so that it can be filled with zeros. */
export type BackendAnswer = { readonly ok: true; readonly value: Buffer } | BackendFailure;

/** Fills a value with zeros that nobody gets. */
export function wipe(answer: BackendAnswer): void {
  if (answer.ok) answer.value.fill(0);
}

export type ProbeAnswer = { readonly ok: true } | BackendFailure;

/**
 * One opened store.
 *
 * What is *not* an error, and so never a rejection: an entry that is not there, a locked key, a missing program, a
 * server that does not answer, garbage in place of a secret. All these are answers. A rejection is a defect.
 *
 * Rules: exactly the location that was given is read, and nothing is kept of it. After an abort the promise still
 * settles, with any answer, once all that the call had started is gone; what nobody can end, such as a read of a disk
 * that hangs, is given up by patience.ts. An empty or too large value need not be refused: the caller does.
 */
export interface Backend {
  /** What is there at once may be answered at once. */
  fetch(request: BackendRequest): BackendAnswer | Promise<BackendAnswer>;
  /** Whether a fetch could work now, at the price of a few processes or requests, without reading any secret. */
  probe(signal: EndSignal): Promise<ProbeAnswer>;
}

/** What a backend takes from the process, named by its caller. */
export interface BackendSurroundings {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Variables that stand in the environment no more, as their bytes were there. */
  readonly taken?: TakenVariables | undefined;
}

/** A row of the table of backends. */
export interface BackendKind {
  /**
   * The keys that a store of this backend may have beside `backend` and `root`. One that ends in `_file` is a path
   * that may begin with `$CREDENTIALS_DIRECTORY`, and none else is.
   */
  readonly storeKeys: TProperties;
  /**
   * Tells what is wrong with the store's keys beyond their schemas. `at` gives what stands at a pointer below the store,
   * undefined where nothing does or what the schema refuses.
   */
  readonly checkKeys?: (at: (pointer: string) => unknown, tell: (pointer: string, message: string) => void) => void;
  /** Whether a ref may name a `field`. */
  readonly fields: boolean;
  /**
   * Whether `root` is a directory of this machine. Such a one is relative to the folder of the store, may begin with
   * `$CREDENTIALS_DIRECTORY` and may have any segments; of another neither counts. See store_path.ts.
   */
  readonly rootIsDirectory: boolean;
  /** What is wrong with this store's `root` beyond the rules for all, or null. */
  readonly checkRoot: (root: string) => string | null;
  /** What is wrong with this ref's `path` beyond the rules for all, or null. */
  readonly checkPath: (path: SecretRef['path']) => string | null;
  /** Opens a store whose keys have been checked. Starts nothing and never fails. */
  readonly open: (store: SecretStore, surroundings: BackendSurroundings) => Backend;
}

export function failure(code: BackendErrorCode, reason: Reason): BackendFailure {
  return { ok: false, code, reason };
}

/** A store that cannot be asked, whatever is asked of it. */
export function failingBackend(answer: BackendFailure): Backend {
  return { fetch: () => Promise.resolve(answer), probe: () => Promise.resolve(answer) };
}
