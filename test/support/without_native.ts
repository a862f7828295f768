import { pathToFileURL } from 'node:url';
import { type Ending, temporaryFolder, writeFile } from './temporary.js';

/** Arguments of Node that let it find no native module, as in an installation for another processor. */
export function withoutNative(t: Ending): string[] {
  const script = `import Module from 'node:module';
const load = Module._load;
Module._load = (id, ...rest) => {
  if (id.startsWith('@koromix/')) throw new Error('not installed');
  return load(id, ...rest);
};
`;
  return [`--import=${pathToFileURL(writeFile(temporaryFolder(t), 'preload.mjs', script)).href}`];
}
