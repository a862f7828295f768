// Makes the program of the sources and of all that it needs: few files to find and to read make a start quick, and what
// is installed runs the very versions of the lock file.
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

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

const { metafile } = await build({
  entryPoints: ['src/main.ts'],
  outdir: 'dist',
  // Beside the entry, as what is found by its place relative to the sources has to be found from here as well.
  chunkNames: 'program-[hash]',
  bundle: true,
  splitting: true, // a command loads what it runs with
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  external: ['@koromix/*'], // native
  plugins: [leaveOut],
  // What is shorter is read faster. Names stay, for the report of a defect.
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: 'none', // the licences are whole in a file of their own
  // Packages of the old module system ask for Node's own modules by this.
  banner: {
    js: "import { createRequire as requireOf } from 'node:module';\nconst require = requireOf(import.meta.url);",
  },
  metafile: true,
  logLevel: 'warning',
});

// Those of earlier builds. What stays the same stays where it is: a daemon that runs may load it yet.
for (const file of readdirSync('dist')) {
  if (file.startsWith('program-') && !(`dist/${file}` in metafile.outputs)) rmSync(join('dist', file));
}

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
