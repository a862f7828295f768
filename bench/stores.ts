/**
 * What one read of each backend takes, side by side in one run, as rows of the table in docs/stores.md:
 * `npm run bench:stores [ROUNDS]`. Needs gpg and gopasspw's gopass (of PATH, or named by MXM_TEST_GOPASS); `openbao` is
 * measured where there is the KV server of the tests (named by MXM_TEST_KV_SERVER).
 */
import { cpus } from 'node:os';
import { ageKind } from '../src/backends/age.js';
import type { Backend } from '../src/backends/backend.js';
import { runCommand } from '../src/backends/command.js';
import { envKind } from '../src/backends/env.js';
import { fileKind } from '../src/backends/file.js';
import { gopassKind } from '../src/backends/gopass.js';
import { openbaoKind } from '../src/backends/openbao.js';
import { passKind } from '../src/backends/pass.js';
import { createAgeStore } from '../test/support/age_store.js';
import { createGopassStore } from '../test/support/gopass_store.js';
import { realKvServer, startKvServer } from '../test/support/kv_server.js';
import { realGopass, realGpg, skipWithout } from '../test/support/real_component.js';
import { type Ending, temporaryFolder, writeFile } from '../test/support/temporary.js';
import { versionOf, versionOfPackage } from './machine.js';
import { median } from './statistics.js';

const VALUE = 'db-12345\n';

/** Reads once. */
type Read = () => Promise<void>;

async function contenders(t: Ending): Promise<Map<string, Read>> {
  const gpg = createGopassStore(t);
  const age = await createAgeStore(t);
  const folder = temporaryFolder(t);
  gpg.insert('mxm/red/entry', VALUE);
  await age.insert('entry', VALUE);
  writeFile(folder, 'entry', VALUE);

  const { environment } = gpg;
  const show = ['show', '-n', '--', 'mxm/red/entry'];
  const options = { gopass: { binary: gpg.gopass }, age: { identity_file: age.identityFile } };
  const store = { name: 'bench', backend: '', options: {} };
  const passRoot = `${gpg.folder}/mxm/red`;
  return new Map<string, Read>([
    [
      '`gopass show`, by itself',
      async () => {
        const signal = AbortSignal.timeout(30_000);
        const env = { ...environment, GOPASS_NO_REMINDER: '1' };
        const { end } = await runCommand({ file: gpg.gopass, args: show, env, maxStdoutBytes: 1_000, signal });
        if (end !== 'succeeded') throw new Error(end);
      },
    ],
    [
      '`gopass`',
      reader(gopassKind.open({ ...store, root: 'mxm/red', options: options.gopass }, { environment }), 'mxm/red/entry'),
    ],
    ['`pass`', reader(passKind.open({ ...store, root: passRoot }, { environment }), `${passRoot}/entry`)],
    [
      '`age`',
      reader(
        ageKind.open({ ...store, root: age.folder, options: options.age }, { environment }),
        `${age.folder}/entry`,
      ),
    ],
    ['`file`', reader(fileKind.open({ ...store, root: folder }, { environment }), `${folder}/entry`)],
    ...(await openbaoContender(t)),
    ['`env`', reader(envKind.open({ ...store, root: 'mxm' }, { environment: { MXM_ENTRY: VALUE } }), 'mxm/entry')],
  ]);
}

/** A server of this machine, on loopback: what a network adds is not the daemon's. */
async function openbaoContender(t: Ending): Promise<[string, Read][]> {
  if (realKvServer().skip !== false) return [];
  const server = await startKvServer(t);
  await server.write('mxm/entry', { value: VALUE });
  const auth = { token_file: writeFile(temporaryFolder(t), 'token', server.rootToken) };
  const store = { name: 'bench', backend: 'openbao', root: 'mxm', options: { address: server.address, auth } };
  return [['`openbao`', reader(openbaoKind.open(store, { environment: {} }), 'mxm/entry')]];
}

function reader(backend: Backend, location: string): Read {
  return async () => {
    const answer = await backend.fetch({ location, maxBytes: 1_000, signal: AbortSignal.timeout(30_000) });
    if (!answer.ok) throw new Error(`${answer.code}/${answer.reason}`);
  };
}

/** Milliseconds of each read, the readers in turn: what disturbs the machine disturbs all alike. */
async function measure(readers: ReadonlyMap<string, Read>, rounds: number): Promise<Map<string, number[]>> {
  const times = new Map([...readers.keys()].map((name) => [name, [] as number[]]));
  for (let round = -3; round < rounds; round += 1) {
    for (const [name, read] of readers) {
      const start = performance.now();
      await read();
      if (round >= 0) times.get(name)?.push(performance.now() - start);
    }
  }
  return times;
}

const missing = skipWithout(realGopass(), realGpg());
if (missing !== false) throw new Error(missing);
const teardowns: (() => unknown)[] = [];
try {
  const rounds = Number(process.argv[2] ?? 100);
  const times = await measure(await contenders({ teardown: (callback) => teardowns.push(callback) }), rounds);
  const [base = NaN] = [...times.values()].map(median);
  console.log(
    `${rounds} rounds on ${cpus()[0]?.model ?? 'an unknown processor'}, ${cpus().length} cores; Node ${process.versions.node}, ` +
      `${versionOf(realGopass().file)}, ${versionOf(realGpg().file)}, age-encryption ${versionOfPackage('age-encryption')}\n`,
  );
  console.log('| backend | p50 in ms | as a ratio to `gopass show` |\n| --- | --- | --- |');
  for (const [name, each] of times) {
    console.log(`| ${name} | ${median(each).toFixed(2)} | ${(median(each) / base).toPrecision(2)} |`);
  }
} finally {
  for (const teardown of teardowns.reverse()) await teardown();
}
