import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Writable } from 'node:stream';
import t, { type Test } from 'tap';
import { SecretsApi } from '../src/api.js';
import { BACKENDS } from '../src/backends/table.js';
import { COMMANDS } from '../src/cli/commands.js';
import { EXIT, EXIT_MEANINGS, EXIT_OF_CODE } from '../src/cli/exit_status.js';
import { optionUsage, usageOf } from '../src/cli/help.js';
import { LAUNCH_SCHEMA } from '../src/config/launch_config.js';
import { loadConfiguration } from '../src/config/load.js';
import { ConfigError } from '../src/config/problems.js';
import { SECRETS_SCHEMAS, SECTIONS } from '../src/config/secrets_config.js';
import {
  type ErrorCode,
  describeReason,
  ERROR_CODES,
  isErrorCode,
  isRetryable,
  REASON_NAMES,
} from '../src/domain/errors.js';
import { buildApp, type Serving } from '../src/http/app.js';
import { createGate } from '../src/gate.js';
import { REPRESENTATIONS } from '../src/http/accept.js';
import { STATUS_OF } from '../src/http/status.js';
import { DEFAULT_LIMITS } from '../src/limits.js';
import { createAudit } from '../src/log/audit.js';
import { createLogger } from '../src/log/logger.js';
import { createMetrics } from '../src/metrics.js';
import { SUITE } from './faults/suite.js';
import { type Document, fenceOf, parseMarkdown, readDocument, ROOT, tableOf } from './support/markdown.js';
import { temporaryFolder, writeFile } from './support/temporary.js';

const PAGES = readdirSync(join(ROOT, 'docs')).filter((name) => name.endsWith('.md'));
const DOCUMENTS = [
  'README.md',
  'CHANGELOG.md',
  'SECURITY.md',
  'CONTRIBUTING.md',
  ...PAGES.map((name) => `docs/${name}`),
];
const readme = readDocument('README.md');

function sorted(texts: Iterable<string>): string[] {
  return [...texts].sort();
}

/** The same rows, whatever their order. */
function sameRows(t: Test, printed: readonly (readonly unknown[])[], expected: readonly (readonly unknown[])[]): void {
  const lines = (rows: readonly (readonly unknown[])[]): string[] =>
    sorted(rows.map((row) => row.map(String).join(' | ')));
  t.same(lines(printed), lines(expected));
}

// --- HTTP

t.test('the README lists every code with its status, whether it is retryable, and the exit status of get', (t) => {
  const printed = tableOf(readme, 'Errors', 'code').map((row) => row.slice(0, 4));
  sameRows(
    t,
    printed,
    ERROR_CODES.map((code) => [code, STATUS_OF[code], isRetryable(code), EXIT_OF_CODE[code]]),
  );
  t.end();
});

t.test('the README says of every code when it comes and what to do', (t) => {
  for (const [code, , , , when, what] of tableOf(readme, 'Errors', 'code')) {
    t.not(when, '', `when ${String(code)} comes`);
    t.not(what, '', `what to do about ${String(code)}`);
  }
  t.end();
});

t.test(
  'the order of refusals in the README names each code once that is no answer of a backend or of the load',
  (t) => {
    const text = readme.prose.join(' ');
    const order = /The first that applies is the answer: (.*?)\. Only then a backend is asked/.exec(text)?.[1] ?? '';
    const later: readonly ErrorCode[] = [
      'secret_not_found',
      'backend_failed',
      'backend_unavailable',
      'backend_locked',
      'backend_timeout',
      'overloaded',
      'audit_unavailable',
      'internal_error',
    ];
    const named = [...order.matchAll(/`(\w+)`/g)].map(([, code]) => String(code));
    t.same(sorted(named), sorted(ERROR_CODES.filter((code) => !later.includes(code))));
    t.end();
  },
);

t.test('the README lists every reason with the text that check prints', (t) => {
  const printed = tableOf(readme, 'Reasons', 'reason');
  sameRows(
    t,
    printed.map(([reason, , text]) => [reason, text]),
    REASON_NAMES.map((reason) => [reason, describeReason(reason)]),
  );
  for (const [reason, code] of printed) t.ok(isErrorCode(code), `${String(reason)} comes with a code`);
  t.end();
});

/** The app as it is served, over a store of the environment, with its log and audit records as lines. */
function serveInProcess(): { built: ReturnType<typeof buildApp>; audit: string[] } {
  const audit: string[] = [];
  const api = SecretsApi.fromConfigData(
    {
      stores: { demo: { backend: 'env', root: 'mxm' } },
      refs: { greeting: { store: 'demo', path: 'greeting', policy: 'open' } },
      policies: { open: { allowed_principals: ['demo'] } },
    },
    { environment: { MXM_GREETING: 'hello' } },
  );
  const serving: Serving = {
    identity: { machine: 'localhost', environment: 'dev', role: 'demo' },
    api,
    connections: 512,
  };
  const configStatus = { digest: '', loadedAt: new Date(0), lastError: null };
  const sink = new Writable({ write: (_chunk, _encoding, done) => done() });
  const built = buildApp({
    serving: () => serving,
    configStatus: () => configStatus,
    audit: createAudit((line) => {
      audit.push(line);
      return Promise.resolve(true);
    }),
    metrics: createMetrics({ gate: createGate(() => DEFAULT_LIMITS), config: () => configStatus }),
    log: createLogger('silent', sink),
  });
  return { built, audit };
}

t.test('the README lists every route and no other', async (t) => {
  const { built } = serveInProcess();
  await built.app.ready();
  t.teardown(() => built.app.close());
  const printed = tableOf(readme, 'Routes', 'route').map(([route = '']) => route);
  for (const route of printed) {
    t.ok(route.startsWith('GET '), `${route} is a GET`);
    t.ok(built.app.hasRoute({ method: 'GET', url: route.slice('GET '.length) }), `${route} is there`);
  }
  const lines = built.app.printRoutes({ commonPrefix: false }).split('\n');
  t.equal(lines.filter((line) => line.includes('(GET')).length, printed.length, 'none is left out');
});

t.test('the README lists every representation', (t) => {
  const printed = tableOf(readme, 'Representations of a secret', 'Accept').map(([type]) => type);
  t.same(printed, [...REPRESENTATIONS]);
  t.end();
});

t.test('the README lists every field of an audit record, in the table and in the example', async (t) => {
  const { built, audit } = serveInProcess();
  t.teardown(() => built.app.close());
  await built.app.inject('/secrets/greeting');
  const fields = Object.keys(JSON.parse(audit[0] ?? '{}') as object);
  t.same(
    tableOf(readme, 'Log', 'field').map(([field]) => field),
    fields,
  );
  t.same(Object.keys(JSON.parse(fenceOf(readme, 'Log', 'json')) as object), fields);
});

t.test('the README lists every event of the log', (t) => {
  const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readFileSync(join(ROOT, 'src', name), 'utf8'));
  const events = new Set(
    sources.flatMap((text) =>
      [...text.matchAll(/\bevent: '(\w+)'|"event":"(\w+)"/g)].map(([, event, written]) => String(event ?? written)),
    ),
  );
  const printed = tableOf(readme, 'Log', 'event').map(([event = '']) => event);
  t.same(sorted(printed), sorted(events));
  t.end();
});

// --- configuration

interface SchemaNode {
  readonly properties?: Readonly<Record<string, SchemaNode>> | undefined;
  readonly required?: readonly string[] | undefined;
  readonly default?: unknown;
  readonly description?: string | undefined;
}

/** Each key that is no mapping, with its default as the README writes it. */
function keysOf(schema: SchemaNode, prefix: string): [key: string, fallback: string][] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, node]): [string, string][] => {
    const key = `${prefix}${name}`;
    if (node.properties !== undefined) return keysOf(node, `${key}.`);
    return [[key, schema.required?.includes(name) === true ? 'required' : defaultOf(node)]];
  });
}

/** A default that no schema can hold stands in its description. */
function defaultOf(node: SchemaNode): string {
  const { default: fallback } = node;
  if (fallback === undefined) return /default: (.*)$/.exec(node.description ?? '')?.[1] ?? '–';
  // What has to be quoted in YAML comes in quotes.
  return typeof fallback === 'string' && !/^\d+$/.test(fallback) ? fallback : JSON.stringify(fallback);
}

function keysPrinted(document: Document, under: string): string[][] {
  return tableOf(document, under, 'key', 'default', 'meaning').map(([key = '', fallback = '', meaning = '']) => {
    if (meaning === '') throw new Error(`${key} has no meaning`);
    return [key, fallback.replaceAll('`', '')];
  });
}

t.test('the README lists every key of the launch file with its default', (t) => {
  t.same(sorted(keysPrinted(readme, 'The launch file').map(String)), sorted(keysOf(LAUNCH_SCHEMA, '').map(String)));
  t.end();
});

t.test('the README lists every key of the secrets file with its default', (t) => {
  const expected = new Set<string>();
  for (const section of SECTIONS) {
    const schemas =
      section === 'stores' ? [...BACKENDS.keys()].map(SECRETS_SCHEMAS.stores) : [SECRETS_SCHEMAS[section]];
    for (const schema of schemas) {
      for (const key of keysOf(schema, `${section}.NAME.`)) expected.add(String(key));
    }
  }
  t.same(sorted(keysPrinted(readme, 'The secrets file').map(String)), sorted(expected));
  t.end();
});

t.test('the README says of a key that not every backend has which backend that is', (t) => {
  const meanings = new Map(tableOf(readme, 'The secrets file', 'key').map(([key, , meaning]) => [key, meaning]));
  for (const [backend, { storeKeys }] of BACKENDS) {
    for (const [key] of keysOf({ properties: storeKeys }, 'stores.NAME.')) {
      t.match(meanings.get(key), `backend \`${backend}\` only`, key);
    }
  }
  t.end();
});

t.test('the README lists every backend', (t) => {
  const printed = tableOf(readme, 'The secrets file', 'backend').map(([backend = '']) => backend);
  t.same(sorted(printed), sorted(BACKENDS.keys()));
  t.end();
});

t.test('the page on stores has a row for every backend', (t) => {
  const printed = tableOf(readDocument('docs/stores.md'), 'What each needs and costs', 'backend');
  for (const backend of BACKENDS.keys()) t.ok(printed.map(([name]) => name).includes(backend), backend);
  t.end();
});

t.test('the credential of an age identity has one name, that of its encryption too', (t) => {
  const text = readDocument('docs/stores.md').prose.join(' ');
  const [, name, file] = /`LoadCredentialEncrypted=([^:]+):([^`]+)`/.exec(text) ?? [];
  t.match(text, `systemd-creds encrypt --name=${String(name)} identity.txt ${String(file)}`);
  t.match(text, `identity_file: $CREDENTIALS_DIRECTORY/${String(name)}`);
  t.end();
});

t.test('the two example files of the README are accepted', (t) => {
  const folder = temporaryFolder(t);
  const launchFile = writeFile(folder, 'launch.yaml', fenceOf(readme, 'The launch file', 'yaml'));
  writeFile(folder, 'secrets.yaml', fenceOf(readme, 'The secrets file', 'yaml'));
  const { registries } = loadConfiguration(launchFile);
  t.same(registries.refs.names(), ['databento_api_key']);
  t.end();
});

t.test('the faulty example of the README gives the errors that stand below it', (t) => {
  const folder = temporaryFolder(t);
  const launchFile = writeFile(folder, 'launch.yaml', fenceOf(readme, 'The launch file', 'yaml'));
  writeFile(folder, 'secrets.yaml', fenceOf(readme, 'An example of errors', 'yaml'));
  try {
    loadConfiguration(launchFile);
    t.fail('it was accepted');
  } catch (error) {
    t.ok(error instanceof ConfigError);
    t.equal(
      (error as ConfigError).message.replaceAll(`${folder}/`, ''),
      fenceOf(readme, 'An example of errors', 'text'),
    );
  }
  t.end();
});

// --- command line

/** A cell without its marks of code. */
function plain(cell: string): string {
  return cell.replaceAll('`', '');
}

t.test('the README lists every command with its operands', (t) => {
  const printed = tableOf(readme, 'Command line', 'command', 'does').map(([command = '']) => command);
  t.same(
    printed,
    [...COMMANDS.values()].map((command) => usageOf(command, '')),
  );
  t.end();
});

t.test('the README lists every option with its value, as the help does', (t) => {
  const printed = tableOf(readme, 'Command line', 'command', 'option').map((row) => row.map(plain));
  const expected = [...COMMANDS.values()].flatMap(({ name, options }) =>
    Object.entries(options).map(([option, of]) => [name, optionUsage(option, of), of.help]),
  );
  t.same(printed, expected);
  t.end();
});

t.test('the README lists every exit status with its meaning, as the manual page does', (t) => {
  const rows = tableOf(readme, 'Command line', 'exit status');
  t.same(
    rows.map((row) => row.map(plain)),
    [...EXIT_MEANINGS].map(([status, meaning]) => [String(status), meaning]),
  );
  const printed = rows.map(([status]) => Number(status));
  const statuses = new Set<number>([...Object.values(EXIT), ...Object.values(EXIT_OF_CODE)]);
  t.same(
    printed,
    [...statuses].sort((a, b) => a - b),
  );
  t.end();
});

// --- library

t.test('the README names the codes that a default stands in for', (t) => {
  const text = readme.prose.join(' ');
  const named = /`default` stands in for (.*?), never for a denied or unknown name/.exec(text)?.[1] ?? '';
  const source = readFileSync(join(ROOT, 'src/api.ts'), 'utf8');
  const list = /DEFAULT_STANDS_IN[^[]*\[([^\]]*)\]/.exec(source)?.[1] ?? '';
  const codesIn = (part: string, quote: string): string[] =>
    sorted([...part.matchAll(new RegExp(`${quote}(\\w+)${quote}`, 'g'))].map(([, code]) => String(code)));
  t.same(codesIn(named, '`'), codesIn(list, "'"));
  t.not(named, '');
  t.end();
});

// --- the house

t.test('CONTRIBUTING lists every npm script and no other', (t) => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: object };
  const printed = tableOf(readDocument('CONTRIBUTING.md'), 'Running everything', 'command').map(([command = '']) =>
    command.replace(/^npm (?:run )?/, ''),
  );
  t.same(sorted(printed), sorted(Object.keys(scripts)));
  t.end();
});

t.test('CONTRIBUTING says of every file of src where it belongs', (t) => {
  const places = tableOf(readDocument('CONTRIBUTING.md'), 'Where a thing lives', 'where')
    .flatMap(([where = '']) => where.split(', '))
    .map((place) => place.replaceAll('`', ''));
  for (const place of places) t.ok(existsSync(join(ROOT, place)), `${place} is there`);
  const forgotten = readdirSync(join(ROOT, 'src'), { withFileTypes: true })
    .map((entry) => `src/${entry.name}${entry.isDirectory() ? '/' : ''}`)
    .filter((file) => !places.includes(file));
  t.same(forgotten, []);
  t.end();
});

t.test('CONTRIBUTING names only files and identifiers that are there', (t) => {
  const { prose } = readDocument('CONTRIBUTING.md');
  const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readFileSync(join(ROOT, 'src', name), 'utf8'))
    .join('\n');
  for (const [, named = ''] of prose.join('\n').matchAll(/`([^`\n]+)`/g)) {
    if (/^(?:src|test|config)\/[\w./]+$/.test(named) && !named.includes('NAME')) {
      t.ok(existsSync(join(ROOT, named)), `${named} is there`);
    } else if (/^(?:[A-Z]+_[A-Z_]+|[A-Z][a-z]+[A-Z]\w+)$/.test(named) && !/^MXM_(?:TEST|FUZZ|BENCH)_/.test(named)) {
      t.ok(new RegExp(`\\b${named}\\b`).test(sources), `${named} is in the source`);
    }
  }
  t.end();
});

t.test('docs/reliability.md has a row for each fault of the suite, and all of them held', (t) => {
  const page = readDocument('docs/reliability.md');
  const rows = tableOf(page, 'Faults', 'fault');
  t.same(sorted(rows.map(([name]) => String(name))), sorted(SUITE.map(({ name }) => name)), 'npm run docs:reliability');
  const asked = new Map(SUITE.map((fault) => [fault.name, fault.asked]));
  for (const [name = '', what, , next, processes, descriptors] of rows) {
    t.same([what, next, processes, descriptors], [asked.get(name), '200', '0', '0'], name);
  }
  t.equal(tableOf(page, 'Memory', 'answers')[0]?.at(-1), '0', 'canaries found');
  t.end();
});

t.test('the public CI runs .ci/run, with no right to write', (t) => {
  const workflow = readFileSync(join(ROOT, '.github/workflows/ci.yml'), 'utf8');
  t.match(workflow, /^ +- run: bash \.ci\/run$/m);
  t.match(workflow, /^permissions:\n {2}contents: read$/m);
  t.end();
});

// --- all documents

t.test('every relative link leads to a file, and every anchor to a heading', (t) => {
  for (const name of DOCUMENTS) {
    for (const link of readDocument(name).links) {
      if (/^[a-z]+:/.test(link)) continue;
      const [file = '', anchor] = link.split('#');
      const target = file === '' ? name : join(dirname(name), file);
      t.ok(existsSync(join(ROOT, target)), `${name}: ${link}`);
      if (anchor !== undefined) t.ok(readDocument(target).anchors.includes(anchor), `${name}: ${link}`);
    }
  }
  t.end();
});

t.test('the runbook says of every code what to do', (t) => {
  const { anchors } = readDocument('docs/runbook.md');
  for (const code of ERROR_CODES)
    t.ok(
      anchors.some((anchor) => anchor.split('-and-').includes(code)),
      code,
    );
  t.end();
});

t.test('the picture of the architecture is the one that its source describes', (t) => {
  const source = readFileSync(join(ROOT, 'docs/architecture.dot'), 'utf8');
  const picture = readFileSync(join(ROOT, 'docs/architecture.svg'), 'utf8');
  const labels = [...source.matchAll(/\blabel="([^"]*)"/g)].flatMap(([, label = '']) => label.split(/\\[nl]/));
  const texts = [...picture.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map(([, text = '']) => text);
  const shown = (text: string): string => text.replaceAll('&#160;', ' ').replaceAll('&#45;', '-').trim();
  t.same(sorted(texts.map(shown)), sorted(labels.map(shown).filter((label) => label !== '')));
  t.end();
});

t.test('the README leads to every page of docs', (t) => {
  for (const name of PAGES)
    t.ok(
      readme.links.some((link) => link.split('#')[0] === `docs/${name}`),
      name,
    );
  t.end();
});

t.test('no two headings of a document have one name', (t) => {
  for (const name of DOCUMENTS) {
    if (name === 'CHANGELOG.md') continue; // each version has its "Added"
    const { anchors } = readDocument(name);
    t.same(anchors, [...new Set(anchors)], name);
  }
  t.end();
});

t.test('the changelog is in the form of Keep a Changelog', (t) => {
  const text = readFileSync(join(ROOT, 'CHANGELOG.md'), 'utf8');
  t.match(text, /^# Changelog\n/);
  t.match(text, 'https://keepachangelog.com/');
  t.match(text, 'https://semver.org/');
  const [, ...versions] = text.split(/^## /m);
  t.match(versions[0], /^\[Unreleased\]\n/, 'what is not released stands first');
  for (const version of versions) {
    const [title = '', ...kinds] = version.split(/^### /m);
    t.match(title, /^\[(?:Unreleased|\d+\.\d+\.\d+)\](?: - \d{4}-\d{2}-\d{2})?\n/);
    for (const kind of kinds) t.match(kind, /^(?:Added|Changed|Deprecated|Removed|Fixed|Security)\n\n- /);
  }
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  t.ok(versions.length === 1 || text.includes(`## [${version}] - `), 'the version of the package has its section');
  t.end();
});

t.test('the reader of Markdown sees tables, fences, links and anchors', (t) => {
  const document = parseMarkdown(
    '# A `b` c?\n\n| x | y |\n| --- | --- |\n| `a` | b \\| c |\n\n[d](e.md#f)\n\n```sh\n# no heading\n[g](h)\n```\n',
  );
  t.same(document.tables, [{ under: 'A `b` c?', header: ['x', 'y'], rows: [['a', 'b | c']] }]);
  t.same(document.fences, [{ under: 'A `b` c?', language: 'sh', text: '# no heading\n[g](h)' }]);
  t.same(document.links, ['e.md#f']);
  t.same(document.anchors, ['a-b-c']);
  t.throws(() => tableOf(document, 'A `b` c?', 'z'));
  t.throws(() => fenceOf(document, 'A `b` c?', 'yaml'));
  t.end();
});
