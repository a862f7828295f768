import { BACKENDS } from '../backends/table.js';
import { isIdentifier } from '../domain/identifier.js';
import { Registry } from '../domain/registry.js';
import type { SecretPolicy, SecretRef, SecretStore } from '../domain/secrets.js';
import { displayPath } from './display_path.js';
import { didYouMean } from './problems.js';
import { cleanText, closedObject, fits, identifier, oneOf, type Report, type Static, Type } from './schema.js';
import { escapePointer } from './yaml_document.js';

const refSchema = closedObject({
  store: identifier({ description: 'name of a store' }),
  path: cleanText({ description: "where the entry is, relative to the store's root" }),
  policy: identifier({ description: 'name of a policy' }),
  field: Type.Optional(cleanText({ description: 'a key of the entry; "password" is its first line' })),
});

const policySchema = closedObject({
  allowed_principals: Type.Array(identifier(), { description: 'who may read; an empty list denies everybody' }),
});

const backendSchema = oneOf([...BACKENDS.keys()], { description: 'where the values live' });

/** A store has `backend`, `root` and the further keys of its backend only. */
function storeSchema(backend: string) {
  return closedObject({
    backend: backendSchema,
    root: cleanText({ description: 'what every path of this store begins with' }),
    ...BACKENDS.get(backend)?.storeKeys,
  });
}

export const SECTIONS = ['stores', 'refs', 'policies'] as const;

/** The three sections with the schema of an entry of each, for a reader of the schema. */
export const SECRETS_SCHEMAS = { stores: storeSchema, refs: refSchema, policies: policySchema } as const;

export interface Registries {
  readonly stores: Registry<SecretStore>;
  readonly refs: Registry<SecretRef>;
  readonly policies: Registry<SecretPolicy>;
}

/** Registries that hold to the rules. A program can build others by hand. */
const CHECKED = new WeakSet<Registries>();

/** The same rules for registries that a program has built. */
export function checkRegistries(registries: Registries, report: (path: string, message: string) => void): void {
  if (CHECKED.has(registries)) return;
  const { stores, refs, policies } = registries;
  const data = {
    stores: byName(stores, ({ backend, root, options }) => ({ backend, root, ...options })),
    refs: byName(refs, ({ store, path, policy, field }) => dropUndefined({ store, path, policy, field })),
    policies: byName(policies, ({ allowedPrincipals }) => ({ allowed_principals: allowedPrincipals })),
  };
  checkSecrets(data, '', (pointer, message) => {
    report(displayPath(data, pointer), message);
  });
}

function byName<T extends { readonly name: string }>(items: Registry<T>, toData: (item: T) => object): object {
  const map = Object.create(null) as Record<string, object>;
  for (const item of items.values()) map[item.name] = toData(item);
  return map;
}

type RawStore = { readonly backend: string; readonly root: string } & Readonly<Record<string, unknown>>;
type RawRef = Static<typeof refSchema>;
type RawPolicy = Static<typeof policySchema>;

/**
 * Checks the three sections, which stand at `base` of their document, and tells every problem. Undefined when there
 * is one. Messages never quote a `root` or a `path`.
 */
export function checkSecrets(data: unknown, base: string, report: Report): Registries | undefined {
  let problems = 0;
  const tell: Report = (pointer, message) => {
    problems += 1;
    report(pointer, message);
  };

  if (!isMapping(data)) {
    tell(base, 'must be a mapping with the sections stores, refs and policies');
    return undefined;
  }
  for (const key of Object.keys(data)) {
    if (!(SECTIONS as readonly string[]).includes(key)) {
      tell(`${base}/${escapePointer(key)}`, `is an unknown key${didYouMean(key, SECTIONS)}`);
    }
  }
  const sections = { stores: entries('stores'), refs: entries('refs'), policies: entries('policies') };

  const stores: SecretStore[] = [];
  for (const { name, value, pointer } of sections.stores) {
    const store = checkStore(name, value, pointer, tell);
    if (store !== undefined) stores.push(store);
  }
  const policies: SecretPolicy[] = [];
  for (const { name, value, pointer } of sections.policies) {
    if (!fits(policySchema, value, pointer, tell)) continue;
    const { allowed_principals: principals } = value as RawPolicy;
    for (const [index, principal] of principals.entries()) {
      const first = principals.indexOf(principal);
      if (first < index) tell(`${pointer}/allowed_principals/${index}`, `is the same principal as [${first}]`);
    }
    policies.push({ name, allowedPrincipals: Object.freeze([...principals]) });
  }

  const storeNames = new Set(sections.stores.map(({ name }) => name));
  const policyNames = new Set(sections.policies.map(({ name }) => name));
  const storesByName = new Map(stores.map((store) => [store.name, store]));
  const refs: SecretRef[] = [];
  for (const { name, value, pointer } of sections.refs) {
    if (!fits(refSchema, value, pointer, tell)) continue;
    const { store, path, policy, field } = value as RawRef;
    if (!storeNames.has(store)) tell(`${pointer}/store`, `"${store}" is no store${didYouMean(store, storeNames)}`);
    if (!policyNames.has(policy))
      tell(`${pointer}/policy`, `"${policy}" is no policy${didYouMean(policy, policyNames)}`);
    checkPath(path, `${pointer}/path`, tell);
    if (field?.isWellFormed() === false) tell(`${pointer}/field`, ILL_FORMED);
    const backend = storesByName.get(store)?.backend;
    const kind = backend === undefined ? undefined : BACKENDS.get(backend);
    const wrong = kind?.checkPath(path) ?? null;
    if (wrong !== null) tell(`${pointer}/path`, wrong);
    if (field !== undefined && kind?.fields === false) {
      tell(`${pointer}/field`, `is not for a store of backend ${String(backend)}: its entries have no fields`);
    }
    refs.push({ name, store, path, policy, ...(field !== undefined && { field }) });
  }

  if (problems > 0) return undefined;
  const registries = { stores: new Registry(stores), refs: new Registry(refs), policies: new Registry(policies) };
  CHECKED.add(registries);
  return registries;

  function entries(section: (typeof SECTIONS)[number]): { name: string; value: unknown; pointer: string }[] {
    const at = `${base}/${section}`;
    const value = Object.hasOwn(data as object, section) ? (data as Record<string, unknown>)[section] : undefined;
    if (value === undefined) {
      tell(at, 'is missing');
      return [];
    }
    if (!isMapping(value)) {
      tell(at, 'must be a mapping; write {} where there is nothing');
      return [];
    }
    return Object.keys(value).flatMap((name) => {
      const pointer = `${at}/${escapePointer(name)}`;
      if (isIdentifier(name)) return [{ name, value: value[name], pointer }];
      tell(
        pointer,
        'is no name: a lower-case letter, then lower-case letters, digits and underscores, 128 characters at most',
      );
      return [];
    });
  }
}

const ILL_FORMED = 'is not well-formed Unicode';

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function checkStore(name: string, value: unknown, pointer: string, tell: Report): SecretStore | undefined {
  const backend = isMapping(value) ? value['backend'] : undefined;
  const kind = typeof backend === 'string' ? BACKENDS.get(backend) : undefined;
  if (kind === undefined && isMapping(value)) {
    // Which further keys are right depends on the backend, so without it only these two can be judged.
    const known = { backend, root: value['root'] };
    fits(storeSchema(''), dropUndefined(known), pointer, tell);
    return undefined;
  }
  if (!fits(storeSchema(String(backend)), value, pointer, tell)) return undefined;
  const { backend: named, root, ...options } = value as RawStore;
  const inner = root.replace(/^\/+|\/+$/g, '');
  const wrong = root.isWellFormed() ? (segmentProblem(inner) ?? kind?.checkRoot(root) ?? null) : ILL_FORMED;
  if (wrong !== null) tell(`${pointer}/root`, wrong);
  return { name, backend: named, root, options: Object.freeze({ ...options }) };
}

function dropUndefined(value: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined));
}

function checkPath(path: string, pointer: string, tell: Report): void {
  if (!path.isWellFormed()) tell(pointer, ILL_FORMED);
  else if (path.startsWith('/')) tell(pointer, 'must be relative: it begins with "/"');
  else {
    const wrong = segmentProblem(path);
    if (wrong !== null) tell(pointer, wrong);
  }
}

function segmentProblem(path: string): string | null {
  return path.split('/').some((segment) => ['', '.', '..'].includes(segment))
    ? 'must not have an empty, "." or ".." segment'
    : null;
}
