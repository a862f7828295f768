import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import type { Backend } from '../../src/backends/backend.js';
import { fileKind } from '../../src/backends/file.js';
import { joinLocation } from '../../src/resolve.js';
import { temporaryFolder, writeFile } from '../support/temporary.js';

function storeAt(root: string, folder?: string) {
  return { name: 'mounted', backend: 'file', root, ...(folder !== undefined && { folder }), options: {} };
}

/** The value byte by byte, or code and reason. */
async function fetch(backend: Backend, location: string, maxBytes = 1_048_576): Promise<string> {
  const answer = await backend.fetch({ location, maxBytes, signal: new AbortController().signal });
  return answer.ok ? answer.value.toString('latin1') : `${answer.code}/${answer.reason}`;
}

async function probe(backend: Backend): Promise<string> {
  const answer = await backend.probe(new AbortController().signal);
  return answer.ok ? 'ready' : `${answer.code}/${answer.reason}`;
}

t.test('a store of files has no keys of its own, its refs no fields, and its root is a directory', (t) => {
  t.same(fileKind.storeKeys, {});
  t.equal(fileKind.fields, false);
  t.equal(fileKind.rootIsDirectory, true);
  t.equal(fileKind.checkRoot('anything'), null);
  t.equal(fileKind.checkPath('anything'), null);
  t.end();
});

t.test('for all bytes: the value is exactly those of the file', async (t) => {
  const root = temporaryFolder(t);
  const backend = fileKind.open(storeAt(root), { environment: {} });
  const bytes = fc.oneof(
    fc.uint8Array({ minLength: 1 }),
    fc.constantFrom('value\n', '\n', '\r\n\r\n', ' ', '\0').map((text) => Buffer.from(text)),
  );
  await fc.assert(
    fc.asyncProperty(bytes, async (content) => {
      writeFileSync(join(root, 'entry'), content);
      return (await fetch(backend, joinLocation(root, 'entry'))) === Buffer.from(content).toString('latin1');
    }),
    { numRuns: 50 },
  );
});

t.test('a value has at most the bytes that were allowed', async (t) => {
  const root = temporaryFolder(t);
  const backend = fileKind.open(storeAt(root), { environment: {} });
  writeFile(root, 'entry', 'x'.repeat(1_000));
  t.equal(await fetch(backend, `${root}/entry`, 1_000), 'x'.repeat(1_000));
  t.equal(await fetch(backend, `${root}/entry`, 999), 'backend_failed/value_too_large');
});

t.test('a location is a path below the root, however the root is written', async (t) => {
  const folder = temporaryFolder(t);
  writeFile(folder, 'secrets/a/entry', 'value');
  for (const root of ['secrets', 'secrets//', './secrets/.', '../nothing', `${folder}/secrets`]) {
    const backend = fileKind.open(storeAt(root, folder), { environment: {} });
    t.equal(await probe(backend), root.startsWith('../') ? 'backend_unavailable/root_missing' : 'ready', root);
    if (root.startsWith('../')) continue;
    t.equal(await fetch(backend, joinLocation(root, 'a/entry')), 'value', root);
  }
  const above = fileKind.open(storeAt('..', join(folder, 'secrets/a')), { environment: {} });
  t.equal(await fetch(above, joinLocation('..', 'a/entry')), 'value');
});

t.test('the credentials of a systemd unit are files below $CREDENTIALS_DIRECTORY', async (t) => {
  const directory = temporaryFolder(t);
  writeFile(directory, 'api_key', 'value');
  const store = storeAt('$CREDENTIALS_DIRECTORY');
  const backend = fileKind.open(store, { environment: { CREDENTIALS_DIRECTORY: directory } });
  t.equal(await fetch(backend, joinLocation(store.root, 'api_key')), 'value');
  t.equal(await probe(backend), 'ready');
  const elsewhere = fileKind.open(store, { environment: {} });
  t.equal(await fetch(elsewhere, joinLocation(store.root, 'api_key')), 'backend_unavailable/credentials_missing');
  t.equal(await probe(elsewhere), 'backend_unavailable/credentials_missing');
});

t.test('a store is ready when its root is a directory', async (t) => {
  const folder = temporaryFolder(t);
  writeFile(folder, 'file', '');
  const at = (root: string): Backend => fileKind.open(storeAt(root, folder), { environment: {} });
  t.equal(await probe(at('.')), 'ready');
  t.equal(await probe(at('file')), 'backend_unavailable/root_missing');
  t.equal(await probe(at('nothing')), 'backend_unavailable/root_missing');
});

/** Writes a mount as the kubelet does: the entry is a symlink into `..data`, which is a symlink that is swapped. */
function mountSecret(root: string, version: string, value: string): void {
  mkdirSync(join(root, version));
  writeFileSync(join(root, version, 'api_key'), value);
  symlinkSync(version, join(root, '..data_tmp'));
  renameSync(join(root, '..data_tmp'), join(root, '..data'));
}

t.test('an atomic swap of a Kubernetes mount is seen at once', async (t) => {
  const root = temporaryFolder(t);
  const backend = fileKind.open(storeAt(root), { environment: {} });
  mountSecret(root, '..2026_01_01', 'one');
  symlinkSync('..data/api_key', join(root, 'api_key'));
  t.equal(await fetch(backend, `${root}/api_key`), 'one');
  mountSecret(root, '..2026_01_02', 'two');
  t.equal(await fetch(backend, `${root}/api_key`), 'two');
  rmSync(join(root, '..2026_01_01'), { recursive: true });
  t.equal(await fetch(backend, `${root}/api_key`), 'two');
});

t.test('while a Kubernetes mount is swapped, each read gets one version or the other and never nothing', async (t) => {
  const root = temporaryFolder(t);
  const backend = fileKind.open(storeAt(root), { environment: {} });
  mountSecret(root, '..0', 'version 0');
  symlinkSync('..data/api_key', join(root, 'api_key'));
  for (let version = 1; version <= 50; version += 1) {
    const reading = fetch(backend, `${root}/api_key`);
    mountSecret(root, `..${version}`, `version ${version}`);
    t.ok([`version ${version - 1}`, `version ${version}`].includes(await reading));
  }
});
