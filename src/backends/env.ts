import { readFileSync } from 'node:fs';
import type { Registries } from '../config/secrets_config.js';
import { briefCopyOf } from '../domain/secret_bytes.js';
import type { SecretRef, SecretStore } from '../domain/secrets.js';
import { joinLocation } from '../resolve.js';
import { type Backend, type BackendKind, type BackendSurroundings, failure } from './backend.js';
import { withoutLineEndings } from './entry.js';

/** `mxm/dev/api-key` → `MXM_DEV_API_KEY`. */
export function variableName(location: string): string {
  return location.replace(/[-/]/g, '_').toUpperCase();
}

const NAME_RULE = /^[A-Za-z0-9_/-]*$/;

function checkName(text: string): string | null {
  return NAME_RULE.test(text) ? null : 'may hold only A-Z, a-z, 0-9, "_", "-" and "/", as it names a variable';
}

export const envKind: BackendKind = {
  storeKeys: {},
  fields: false,
  rootIsDirectory: false,
  checkRoot: checkName,
  checkPath: checkName,
  open,
};

function open(_store: SecretStore, { environment, taken }: BackendSurroundings): Backend {
  const names = new Map<string, string>();

  /** There are as many as refs. */
  function nameOf(location: string): string {
    const known = names.get(location);
    if (known !== undefined) return known;
    const name = variableName(location);
    names.set(location, name);
    return name;
  }

  return {
    fetch({ location }) {
      const name = nameOf(location);
      const own = taken?.valueOf(name);
      if (own !== undefined) return { ok: true, value: briefCopyOf(withoutLineEndings(own)) };
      const text = environment[name];
      if (text === undefined) return failure('secret_not_found', 'entry_missing');
      // Node decodes the environment as UTF-8 and puts U+FFFD where it is not: then the kernel still has the bytes.
      const bytes = (text.includes('\ufffd') ? rawVariable(name, text) : undefined) ?? Buffer.from(text);
      return { ok: true, value: withoutLineEndings(bytes) };
    },
    probe: () => Promise.resolve({ ok: true }),
  };
}

/** The variables that the refs of `env` stores name. */
export function variablesOf({ refs, stores }: Registries): string[] {
  return refs.names().flatMap((name) => {
    const ref = refs.get(name) as SecretRef;
    const store = stores.get(ref.store);
    return store?.backend === 'env' ? [variableName(joinLocation(store.root, ref.path))] : [];
  });
}

/** The bytes that a variable had when the process was started, where the platform tells and they mean this text. */
function rawVariable(name: string, text: string): Buffer | undefined {
  let block: Buffer;
  try {
    block = Buffer.concat([Buffer.of(0), readFileSync('/proc/self/environ')]);
  } catch {
    return undefined;
  }
  const prefix = `\0${name}=`;
  const start = block.indexOf(prefix);
  const value = start === -1 ? undefined : block.subarray(start + prefix.length);
  const copy = value && Buffer.from(value.subarray(0, value.indexOf(0)));
  block.fill(0);
  return copy?.toString('utf8') === text ? copy : undefined;
}
