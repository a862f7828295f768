const ROOT = new URL('../..', import.meta.url);

/** The loader for TypeScript that this process was started with; its place does not depend on the working directory. */
const LOADER = process.execArgv
  .filter((argument) => argument.startsWith('--import=') && !argument.includes('/@tapjs/'))
  .map((argument) => argument.slice('--import='.length))
  .map((module) => `--import=${module.startsWith('.') ? new URL(module, ROOT).href : import.meta.resolve(module)}`);

/** Node with the loader for TypeScript. */
export const NODE: readonly string[] = [process.execPath, ...LOADER];

/** What to run for a program in TypeScript. */
export function nodeProgram(file: string): string[] {
  return [...NODE, file];
}
