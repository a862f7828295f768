import { UsageError } from './arguments.js';

/** `VAR=NAME` of a command line. */
export interface Binding {
  /** Of the environment. */
  readonly variable: string;
  /** Of a secret; not checked yet. */
  readonly secret: string;
  /** Whether the variable gets the path of a file in place of the value. */
  readonly asFile: boolean;
}

/** Throws a UsageError, which never shows what stands after the `=`: somebody may have put a value there. */
export function parseBindings(values: readonly string[], files: readonly string[]): readonly Binding[] {
  const bindings = [
    ...values.map((text) => parseBinding(text, false)),
    ...files.map((text) => parseBinding(text, true)),
  ];
  const seen = new Set<string>();
  for (const { variable } of bindings) {
    if (seen.has(variable)) throw new UsageError(`${variable} is there twice`);
    seen.add(variable);
  }
  return bindings;
}

function parseBinding(text: string, asFile: boolean): Binding {
  const [, variable, secret] = /^([A-Za-z_][A-Za-z0-9_]*)=(.+)$/s.exec(text) ?? [];
  if (variable === undefined || secret === undefined) {
    throw new UsageError(
      'a binding is VAR=NAME: a variable of letters, digits and underscores, and the name of a secret',
    );
  }
  return { variable, secret, asFile };
}
