import * as Type from '@sinclair/typebox';
import type { BackendKind } from '../backends/backend.js';
import { beginsWithCredentials, credentialsDirectory } from '../backends/store_path.js';
import { BACKENDS } from '../backends/table.js';
import { isIdentifier } from '../domain/identifier.js';
import { Registry } from '../domain/registry.js';
import type { SecretPolicy, SecretRef, SecretStore } from '../domain/secrets.js';
import { displayPath } from './display_path.js';
import { didYouMeanForFew } from './problems.js';
import { childOf, escapePointer, isMapping, splitPointer } from './pointer.js';
import { filesNamedIn, frozenCopy } from './store_options.js';
import {
  check,
  cleanText,
  closedObject,
  forEditors,
  hasBadSegment,
  identifier,
  IDENTIFIER_RULE,
  oneOf,
  type Report,
  SEGMENTS_PATTERN,
  unknownKey,
} from './schema.js';

const refSchema = closedObject({
  store: identifier({ description: 'the name of a store' }),
  path: cleanText({
    description: "where the entry is, relative to the store's root",
    ...forEditors({ pattern: `^${SEGMENTS_PATTERN}$` }),
  }),
  policy: identifier({ description: 'the name of a policy' }),
  field: Type.Optional(cleanText({ description: 'a key of the entry; "password" is its first line' })),
});

const policySchema = closedObject({
  allowed_principals: Type.Array(identifier(), {
    description: 'who may read; an empty list denies everybody',
    ...forEditors({ uniqueItems: true }),
  }),
});

/**
 * A store has `backend`, `root` and the further keys of its backend only. Of an unknown backend nothing more can be
 * said than that a key is none of any backend's.
 */
function storeSchema(backend: string | undefined) {
  const kind = backend === undefined ? undefined : BACKENDS.get(backend);
  return closedObject({
    backend: oneOf([...BACKENDS.keys()], { description: 'where the values live' }),
    root: cleanText({
      description: 'what every path of this store begins with',
      ...(kind?.rootIsDirectory === false && forEditors({ pattern: `^/*${SEGMENTS_PATTERN}/*$` })),
    }),
    ...(kind === undefined ? keysOfAnyBackend() : kind.storeKeys),
  });
}

function keysOfAnyBackend(): Type.TProperties {
  const keys = [...BACKENDS.values()].flatMap(({ storeKeys }) => Object.keys(storeKeys));
  return Object.fromEntries(keys.map((key) => [key, Type.Optional(Type.Any())]));
}

export const SECTIONS = ['stores', 'refs', 'policies'] as const;

/** The three sections with the schema of an entry of each, for a reader of the schema. */
export const SECRETS_SCHEMAS = { stores: storeSchema, refs: refSchema, policies: policySchema } as const;

export interface Registries {
  readonly stores: Registry<SecretStore>;
  readonly refs: Registry<SecretRef>;
  readonly policies: Registry<SecretPolicy>;
}

/** The same rules for registries, as a program can build them by hand. */
export function checkRegistries(registries: Registries, report: (path: string, message: string) => void): void {
  const { stores, refs, policies } = registries;
  const data = {
    stores: byName(stores, ({ backend, root, options }) => ({ ...options, backend, root })),
    refs: byName(refs, ({ store, path, policy, field }) => ({ store, path, policy, field })),
    policies: byName(policies, ({ allowedPrincipals }) => ({ allowed_principals: allowedPrincipals })),
  };
  checkSecrets(data, '', (pointer, message) => {
    report(secretsPath(data, pointer), message);
  });
}

/** The key path of a problem with the sections, which stand at `base` of `data`. */
export function secretsPath(data: unknown, pointer: string, base = ''): string {
  return displayPath(data, pointer, splitPointer(base).length + 2);
}

function byName<T extends { readonly name: string }>(items: Registry<T>, toData: (item: T) => object): object {
  const map = Object.create(null) as Record<string, object>;
  for (const item of items.values()) map[item.name] = toData(item);
  return map;
}

/** What the paths of stores depend on. */
export interface PathSurroundings {
  /** What relative paths are relative to; absolute. Default: the working directory. */
  readonly folder?: string | undefined;
  /** Where a path that begins with `$CREDENTIALS_DIRECTORY` must find it; without, that is left to the backend. */
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined;
}

/**
 * Checks the three sections, which stand at `base` of their document, and tells every problem. Undefined when there
 * is one. Messages never quote a `root` or a `path`.
 */
export function checkSecrets(
  data: unknown,
  base: string,
  report: Report,
  paths: PathSurroundings = {},
): Registries | undefined {
  let problems = 0;
  const tell: Report = (pointer, message, at) => {
    problems += 1;
    report(pointer, message, at);
  };

  if (!isMapping(data)) {
    tell(base, `${data === null ? 'is empty: it ' : ''}must be a mapping with the sections ${SECTIONS.join(', ')}`);
    return undefined;
  }
  for (const key of Object.keys(data)) {
    const pointer = `${base}/${escapePointer(key)}`;
    if (!(SECTIONS as readonly string[]).includes(key)) tell(pointer, unknownKey(pointer, SECTIONS), 'key');
  }
  const sections = {
    stores: entriesOf(data, 'stores', base, tell),
    refs: entriesOf(data, 'refs', base, tell),
    policies: entriesOf(data, 'policies', base, tell),
  };

  const stores = (sections.stores ?? []).flatMap((entry) => checkStore(entry, paths, tell) ?? []);
  const policies = (sections.policies ?? []).flatMap((entry) => checkPolicy(entry, tell) ?? []);
  const names = {
    backends: sections.stores && backendsByStore(sections.stores),
    policies: namesOf(sections.policies),
    hint: didYouMeanForFew(),
  };
  const refs = (sections.refs ?? []).flatMap((entry) => checkRef(entry, names, tell) ?? []);

  if (problems > 0) return undefined;
  return Object.freeze({ stores: new Registry(stores), refs: new Registry(refs), policies: new Registry(policies) });
}

interface Entry {
  readonly name: string;
  readonly value: unknown;
  readonly pointer: string;
}

/** Undefined where there is no such section to look into. What has no proper name is looked into, too. */
function entriesOf(
  data: object,
  section: (typeof SECTIONS)[number],
  base: string,
  tell: Report,
): readonly Entry[] | undefined {
  const at = `${base}/${section}`;
  const value = childOf(data, section);
  if (value === undefined) {
    tell(at, 'is missing; write {} where there is nothing');
    return undefined;
  }
  if (!isMapping(value)) {
    tell(at, 'must be a mapping; write {} where there is nothing');
    return undefined;
  }
  return Object.entries(value).map(([name, item]) => {
    const pointer = `${at}/${escapePointer(name)}`;
    if (!isIdentifier(name)) tell(pointer, `is no name: it ${IDENTIFIER_RULE}`, 'key');
    return { name, value: item, pointer };
  });
}

/** What refs may name; undefined where that section is missing, so that only this is told. */
interface Names {
  /** With the backend of each store, where that is known. */
  readonly backends: ReadonlyMap<string, string | undefined> | undefined;
  readonly policies: ReadonlySet<string> | undefined;
  readonly hint: ReturnType<typeof didYouMeanForFew>;
}

function namesOf(entries: readonly Entry[] | undefined): ReadonlySet<string> | undefined {
  return entries && new Set(entries.map(({ name }) => name).filter(isIdentifier));
}

function backendsByStore(stores: readonly Entry[]): Names['backends'] {
  return new Map(stores.filter(({ name }) => isIdentifier(name)).map(({ name, value }) => [name, backendOf(value)]));
}

function backendOf(store: unknown): string | undefined {
  const backend = childOf(store, 'backend');
  return typeof backend === 'string' && BACKENDS.has(backend) ? backend : undefined;
}

function checkStore(
  { name, value, pointer }: Entry,
  { folder, environment }: PathSurroundings,
  tell: Report,
): SecretStore | undefined {
  const backend = backendOf(value);
  const checked = check(storeSchema(backend), value, pointer, tell);
  const root = checked.at('/root') as string | undefined;
  if (backend === undefined) return undefined;
  const kind = BACKENDS.get(backend) as BackendKind;
  for (const wrong of root === undefined ? [] : rootProblems(root, kind)) tell(`${pointer}/root`, wrong);
  kind.checkKeys?.(checked.at, (at, message) => {
    tell(pointer + at, message);
  });
  const options = Object.entries(value as object).filter(([key]) => key !== 'backend' && key !== 'root');
  if (environment !== undefined && credentialsDirectory(environment) === undefined) {
    const own = root !== undefined && kind.rootIsDirectory ? [{ pointer: '/root', path: root }] : [];
    for (const { pointer: at, path } of [...own, ...filesNamedIn(options)]) {
      if (beginsWithCredentials(path)) tell(pointer + at, CREDENTIALS_NOT_SET);
    }
  }
  if (!checked.fits || root === undefined) return undefined;
  return {
    name,
    backend,
    root,
    ...(folder !== undefined && { folder }),
    options: frozenCopy(Object.fromEntries(options)),
  };
}

function checkPolicy({ name, value, pointer }: Entry, tell: Report): SecretPolicy | undefined {
  const checked = check(policySchema, value, pointer, tell);
  const principals = (checked.at('/allowed_principals') ?? []) as string[];
  const seen = new Map<string, number>();
  for (const [index, principal] of principals.entries()) {
    const at = `/allowed_principals/${index}`;
    if (checked.at(at) === undefined) continue;
    const first = seen.get(principal);
    if (first === undefined) seen.set(principal, index);
    else tell(pointer + at, `is the same principal as [${first}]`);
  }
  return checked.fits ? { name, allowedPrincipals: Object.freeze([...principals]) } : undefined;
}

function checkRef({ name, value, pointer }: Entry, names: Names, tell: Report): SecretRef | undefined {
  const checked = check(refSchema, value, pointer, tell);
  const [store, path, policy, field] = ['/store', '/path', '/policy', '/field'].map(checked.at) as Texts;

  const backend = store === undefined ? undefined : names.backends?.get(store);
  const kind = backend === undefined ? undefined : BACKENDS.get(backend);
  if (store !== undefined && names.backends?.has(store) === false) {
    tell(`${pointer}/store`, `"${store}" is no store${names.hint(store, names.backends.keys())}`);
  }
  for (const wrong of path === undefined ? [] : pathProblems(path, kind)) tell(`${pointer}/path`, wrong);
  if (policy !== undefined && names.policies?.has(policy) === false) {
    tell(`${pointer}/policy`, `"${policy}" is no policy${names.hint(policy, names.policies)}`);
  }
  if (field !== undefined && kind?.fields === false) {
    tell(`${pointer}/field`, `is not for a store of backend ${String(backend)}: its entries have no fields`);
  }
  return checked.fits ? ({ name, store, path, policy, ...(field !== undefined && { field }) } as SecretRef) : undefined;
}

type Texts = (string | undefined)[];

const CREDENTIALS_NOT_SET =
  'begins with $CREDENTIALS_DIRECTORY, which is not set: add LoadCredential= to the unit, or write the path out';
const BAD_SEGMENT = 'must not have an empty, "." or ".." segment';

/** Leading and trailing slashes of a root are allowed. */
function rootProblems(root: string, kind: BackendKind): string[] {
  const inner = root.replace(/^\/+|\/+$/g, '');
  return found(!kind.rootIsDirectory && hasBadSegment(inner) && BAD_SEGMENT, kind.checkRoot(root));
}

function pathProblems(path: string, kind: BackendKind | undefined): string[] {
  const absolute = path.startsWith('/');
  return found(
    absolute && 'must be relative: it begins with "/"',
    !absolute && hasBadSegment(path) && BAD_SEGMENT,
    kind?.checkPath(path),
  );
}

function found(...problems: readonly (string | false | null | undefined)[]): string[] {
  return problems.filter((problem) => typeof problem === 'string');
}
