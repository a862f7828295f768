// Makes the program of the sources and of all that it needs: few files to find and to read make a start quick, and what
// is installed runs the very versions of the lock file.
import { chmodSync, copyFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { build, transform } from 'esbuild';
import { compileAhead } from './compile_ahead.js';

/**
 * What packages would load at every start for what is never asked of them here: Fastify for the schemas of requests, TLS,
 * HTTP/2, proxies and the versions of plugins, prom-client for other processes and gateways, pino for other threads. Each
 * is replaced by an empty object, so that using it after all fails.
 */
const LEFT_OUT = {
  '@fastify/ajv-compiler': ['fastify'],
  '@fastify/fast-json-stringify-compiler': ['fastify'],
  'node:http2': ['fastify'],
  'node:https': ['fastify'],
  'light-my-request': ['fastify'],
  '@fastify/proxy-addr': ['fastify'],
  semver: ['fastify'],
  './lib/cluster': ['prom-client'],
  './lib/defaultMetrics': ['prom-client'],
  './lib/pushgateway': ['prom-client'],
  './lib/summary': ['prom-client'],
  './transport': ['pino'],
  './lib/transport': ['pino'],
};

/** @type {import('esbuild').Plugin} */
const leaveOut = {
  name: 'leave out',
  setup({ onResolve, onLoad }) {
    const importers = new Map(Object.entries(LEFT_OUT));
    onResolve({ filter: /./ }, ({ path, importer }) => {
      const left = importers.get(path)?.some((name) => importer.includes(`/node_modules/${name}/`)) === true;
      return left ? { path, namespace: 'left-out' } : undefined;
    });
    onLoad({ filter: /./, namespace: 'left-out' }, () => ({ contents: 'module.exports = {};' }));
  },
};

// What is shorter is read faster. Names stay, for the report of a defect; the licences are whole in a file of their own.
const SHORT = {
  target: 'node20.19',
  charset: 'ascii', // as which main.js reads it
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: 'none',
};

const { metafile, outputFiles } = await build({
  ...SHORT,
  entryPoints: ['src/main.ts'],
  outdir: 'dist',
  entryNames: 'program',
  chunkNames: 'program-[hash]',
  outExtension: { '.js': '.cjs' },
  bundle: true,
  splitting: true, // a command loads what it runs with
  format: 'esm', // which splitting asks for
  platform: 'node',
  external: ['@koromix/*'], // native
  plugins: [leaveOut],
  define: { 'import.meta.url': 'moduleUrl' },
  metafile: true,
  write: false,
  logLevel: 'warning',
});

// What V8 compiled earlier can be given to it for scripts alone, so that each part becomes a function of what main.js
// has for it: a strict one, as a module is.
const program = await Promise.all(
  outputFiles.map(async ({ path, text }) => {
    const { code } = await transform(text, { ...SHORT, format: 'cjs', supported: { 'dynamic-import': false } });
    return [basename(path), `(function(require,module,moduleUrl){"use strict";${code}})`];
  }),
);

// Those of earlier builds. What stays the same stays where it is: a daemon that runs may load it yet.
const names = new Set(program.map(([name]) => name));
for (const file of readdirSync('dist')) {
  if (/^(?:program|code)-/.test(file) && !names.has(file)) rmSync(join('dist', file), { recursive: true });
}
for (const [name, text] of program) writeFileSync(join('dist', name), text);
copyFileSync(new URL('main.js', import.meta.url), 'dist/main.js');
chmodSync('dist/main.js', 0o755);
await compileAhead();

const packages = new Set(
  Object.keys(metafile.inputs).flatMap((file) => file.match(/^.*node_modules\/(?:@[^/]+\/)?[^/]+/) ?? []),
);
const licences = [...packages].sort().map((folder) => {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  const text = file === undefined ? '' : readFileSync(join(folder, file), 'utf8').trim();
  return `${name} ${version} (${license})\n\n${text}\n`;
});
writeFileSync('dist/LICENSES.txt', licences.join(`\n${'-'.repeat(80)}\n\n`));
