import assert from 'node:assert/strict';
import { join } from 'node:path';
import fc from 'fast-check';
import { SecretsApi } from '../../src/api.js';
import { type Configuration, loadConfiguration } from '../../src/config/load.js';
import { ConfigError } from '../../src/config/problems.js';
import { type Ending, temporaryFolder, writeFile } from '../support/temporary.js';
import { property, type Property } from './property.js';

/** No message quotes where a secret lives. */
const PLACE_MARK = 'place-31c8';

const LAUNCH = `identity:
  machine: bridge
  environment: dev
  role: marketdata
secrets: secrets.yaml
socket: { path: s.sock, mode: "0600" }
limits: { queue: 64, backend_timeout_ms: 5000 }
log:
  level: info # the default
`;

const SECRETS = `stores:
  red: &red
    backend: gopass
    root: mxm/red
  local: { backend: env, root: mxm/local }
refs:
  api_key:
    store: red
    path: marketdata/api_key
    policy: open
    field: password
  other_key: { store: local, path: other-key, policy: closed }
policies:
  open: { allowed_principals: [marketdata, research] }
  closed:
    allowed_principals: []
`;

/** Pieces that mean something to a YAML parser or to the rules of the two files. */
const PIECES = [
  ...[
    '&a ',
    '*a',
    '<<: ',
    '!!binary ',
    '!!js/function ',
    '---\n',
    '...\n',
    '"',
    "'",
    '\t',
    ': ',
    '- ',
    '# ',
    '{',
    '}',
    '[',
    ']',
    ',',
  ],
  ...[
    '|\n',
    '>-\n',
    '? ',
    '%YAML 1.1\n',
    '\0',
    '\ufeff',
    '\u2028',
    '\r',
    '\n',
    '\n\n',
    '  ',
    '0x1f',
    '1e999',
    '-1',
    'null',
    'true',
    '~',
  ],
  ...[
    'marketdata',
    'red',
    'open',
    'gopass',
    'env',
    'store',
    'path',
    'root',
    'constructor',
    '__proto__',
    '/',
    '..',
    '/../',
    ' ',
    '\u00e9',
  ],
];

/** A text with pieces put in, cut out and doubled. */
function mutated(text: string): fc.Arbitrary<string> {
  const edit = fc.tuple(
    fc.nat(text.length),
    fc.nat(30),
    fc.oneof(fc.constantFrom('', ...PIECES), fc.string({ maxLength: 5 })),
    fc.boolean(),
  );
  return fc.array(edit, { minLength: 1, maxLength: 4 }).map((edits) =>
    edits.reduce((now, [at, length, piece, double]) => {
      const cut = now.slice(at, at + length);
      return now.slice(0, at) + piece + (double ? cut + cut : length > 15 ? '' : cut) + now.slice(at + length);
    }, text),
  );
}

const identifier = fc.oneof(
  { weight: 20, arbitrary: fc.constantFrom('red', 'local', 'open', 'api_key', 'marketdata') },
  { weight: 2, arbitrary: fc.constantFrom('constructor', '__proto__', 'toString', 'A', 'a'.repeat(129)) },
  { weight: 1, arbitrary: fc.string({ maxLength: 8 }) },
);
const good = fc.constantFrom(PLACE_MARK, `${PLACE_MARK}/a`);
const odd = fc
  .tuple(
    fc.constantFrom('', '/', '..', './', ' ', '\0', '//', 'x'),
    fc.constantFrom('', '/', '/..', '/./a', ' ', '\n', '-'),
  )
  .map(([before, after]) => `${before}${PLACE_MARK}${after}`);
const place = fc.oneof({ weight: 10, arbitrary: good }, { weight: 1, arbitrary: odd });

/** Mostly the value that belongs there, sometimes any other. */
function mostly<T>(value: fc.Arbitrary<T>): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 30, arbitrary: value }, { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 2 }) });
}
function mapping(keys: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<unknown> {
  return mostly(
    fc
      .tuple(
        fc.record(keys, { requiredKeys: [] }),
        fc.record(keys),
        fc.integer({ min: 0, max: 9 }),
        fc.dictionary(identifier, fc.jsonValue({ maxDepth: 1 }), { maxKeys: 1 }),
      )
      .map(([some, all, partly, more]) => (partly === 0 ? { ...some, ...more } : all)),
  );
}
const section = (entry: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
  mostly(fc.dictionary(identifier, entry, { maxKeys: 3 }));

/** The shape of a secrets file, with what does not belong there; JSON is YAML. */
const shaped = mapping({
  stores: section(mapping({ backend: mostly(fc.constantFrom('gopass', 'env')), root: mostly(place) })),
  refs: section(mapping({ store: identifier, path: mostly(place), policy: identifier })),
  policies: section(mapping({ allowed_principals: mostly(fc.array(identifier, { maxLength: 3 })) })),
}).map((data) => JSON.stringify(data));

/** `FILE:LINE:COLUMN: KEY: what is wrong`, or `FILE: what is wrong`. */
const LINE = /^\S[^\n]*: \S/;

export function configurationProperties(t: Ending, came: (what: string) => void): readonly Property[] {
  const folder = temporaryFolder(t);
  const launchFile = join(folder, 'launch.yaml');

  /** Loaded, or refused with problems that each say where. */
  function load(launch: string | Buffer, secrets: string | Buffer): readonly string[] {
    writeFile(folder, 'launch.yaml', launch);
    writeFile(folder, 'secrets.yaml', secrets);
    let configuration: Configuration;
    try {
      configuration = loadConfiguration(launchFile);
    } catch (error) {
      assert(error instanceof ConfigError, `not refused but broken: ${String(error)}`);
      came('refused');
      const lines = error.message.split('\n');
      for (const line of lines) assert.match(line, LINE);
      return lines;
    }
    came('accepted');
    judgeDecisions(configuration);
    return [];
  }

  return [
    property(
      'configuration: any bytes',
      0.02,
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, asLaunch) => {
        const text = Buffer.from(bytes);
        load(asLaunch ? text : LAUNCH, asLaunch ? SECRETS : text);
      }),
    ),
    property(
      'configuration: changed text',
      0.04,
      fc.property(fc.boolean(), mutated(LAUNCH), mutated(SECRETS), (asLaunch, launch, secrets) => {
        load(asLaunch ? launch : LAUNCH, asLaunch ? SECRETS : secrets);
      }),
    ),
    property(
      'configuration: any shape',
      0.02,
      fc.property(shaped, (secrets) => {
        for (const line of load(LAUNCH, secrets)) assert(!line.includes(PLACE_MARK), 'a message quotes a place');
      }),
    ),
  ];
}

/** Whatever was accepted: who is on the list is allowed, and nobody else. */
function judgeDecisions({ registries, identity }: Configuration): void {
  const api = new SecretsApi(registries, { environment: {} });
  for (const role of [identity.role, 'research', 'somebody_else']) {
    for (const ref of api.refs()) {
      const listed = registries.policies.get(ref.policy)?.allowedPrincipals.includes(role) === true;
      const { decision } = api.decide(ref.name, { ...identity, role });
      assert.equal(decision, listed ? 'allowed' : 'denied');
    }
  }
}
