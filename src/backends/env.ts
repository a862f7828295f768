import { readFileSync } from 'node:fs';
import { type Backend, type BackendKind, failure } from './backend.js';
import { lengthWithoutLineEndings } from './entry.js';

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
  open: (_store, { environment }): Backend => ({
    fetch({ location }) {
      const name = variableName(location);
      const text = environment[name];
      if (text === undefined) return Promise.resolve(failure('secret_not_found', 'entry_missing'));
      // Node decodes the environment as UTF-8 and puts U+FFFD where it is not: then the kernel still has the bytes.
      const bytes = (text.includes('\ufffd') ? rawVariable(name, text) : undefined) ?? Buffer.from(text);
      return Promise.resolve({ ok: true, value: bytes.subarray(0, lengthWithoutLineEndings(bytes)) });
    },
    probe: () => Promise.resolve({ ok: true }),
  }),
};

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
