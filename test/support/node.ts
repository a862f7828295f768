/** Node with the loader for TypeScript. */
export const NODE: readonly string[] = [process.execPath, `--import=${import.meta.resolve('tsx')}`];

/** What to run for a program in TypeScript. */
export function nodeProgram(file: string): string[] {
  return [...NODE, file];
}
