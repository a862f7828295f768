import { join, resolve } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import {
  absoluteStorePath,
  beginsWithCredentials,
  credentialsDirectory,
  expandStorePath,
} from '../../src/backends/store_path.js';

const STORE = { name: 'red', backend: 'file', root: '.', options: {} };
const IN_ETC = { ...STORE, folder: '/etc/mxm' };
const UNIT = { CREDENTIALS_DIRECTORY: '/run/credentials/mxm.service' };

t.test('a relative path is relative to the folder of the store', (t) => {
  for (const [path, absolute] of [
    ['secrets', '/etc/mxm/secrets'],
    ['./secrets/', '/etc/mxm/secrets'],
    ['../other', '/etc/other'],
    ['.', '/etc/mxm'],
    ['/run/secrets', '/run/secrets'],
    ['/', '/'],
  ] as const) {
    t.equal(absoluteStorePath(path, IN_ETC), absolute, path);
    t.equal(expandStorePath(path, IN_ETC, UNIT), absolute, path);
  }
  t.end();
});

t.test('a store without a folder has the working directory', (t) => {
  t.equal(absoluteStorePath('secrets', STORE), join(process.cwd(), 'secrets'));
  t.equal(expandStorePath('secrets', STORE, {}), join(process.cwd(), 'secrets'));
  t.end();
});

t.test('$CREDENTIALS_DIRECTORY is expanded where it is the whole first segment', (t) => {
  for (const [path, absolute] of [
    ['$CREDENTIALS_DIRECTORY', '/run/credentials/mxm.service'],
    ['$CREDENTIALS_DIRECTORY/', '/run/credentials/mxm.service'],
    ['$CREDENTIALS_DIRECTORY/key.txt', '/run/credentials/mxm.service/key.txt'],
    ['$CREDENTIALS_DIRECTORY//a/b', '/run/credentials/mxm.service/a/b'],
    ['$CREDENTIALS_DIRECTORY_2/a', '/etc/mxm/$CREDENTIALS_DIRECTORY_2/a'],
    ['x/$CREDENTIALS_DIRECTORY/a', '/etc/mxm/x/$CREDENTIALS_DIRECTORY/a'],
    ['/$CREDENTIALS_DIRECTORY/a', '/$CREDENTIALS_DIRECTORY/a'],
    ['${CREDENTIALS_DIRECTORY}/a', '/etc/mxm/${CREDENTIALS_DIRECTORY}/a'],
  ] as const) {
    t.equal(expandStorePath(path, IN_ETC, UNIT), absolute, path);
    t.equal(absoluteStorePath(path, IN_ETC), resolve('/etc/mxm', path), `${path} as it is`);
  }
  t.end();
});

t.test('no other variable is expanded', (t) => {
  fc.assert(
    fc.property(fc.stringMatching(/^\$\{?[A-Z_]{1,12}\}?(?:\/[a-z]{1,4})?$/), (path) => {
      fc.pre(!beginsWithCredentials(path));
      const environment = { ...UNIT, HOME: '/root', [path.replace(/[^A-Z_]/g, '')]: '/elsewhere' };
      return expandStorePath(path, IN_ETC, environment) === join('/etc/mxm', path);
    }),
  );
  t.equal(expandStorePath('~/a', IN_ETC, { HOME: '/root' }), '/etc/mxm/~/a');
  t.end();
});

t.test('a variable that is not set, or to no absolute path, expands to nothing', (t) => {
  for (const environment of [{}, { CREDENTIALS_DIRECTORY: '' }, { CREDENTIALS_DIRECTORY: 'run' }]) {
    t.equal(credentialsDirectory(environment), undefined);
    t.equal(expandStorePath('$CREDENTIALS_DIRECTORY/key', IN_ETC, environment), undefined);
    t.equal(expandStorePath('key', IN_ETC, environment), '/etc/mxm/key', 'a path without it is not concerned');
  }
  t.equal(credentialsDirectory(UNIT), '/run/credentials/mxm.service');
  t.end();
});
