/** The variables in the output of `env -0`, without those that tap adds to whatever a test starts. */
export function variablesIn(output: string): string[] {
  return output
    .split('\0')
    .slice(0, -1)
    .filter((variable) => !/^(_TAPJS_\w+|NODE_OPTIONS|NODE_V8_COVERAGE)=/.test(variable));
}
