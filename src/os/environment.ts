import { type Native, native } from './native.js';

/** The environment of a process, from which what is meant for that process alone can be taken. */
export type Environment = Record<string, string | undefined>;

/**
 * The variables of `env` stores, taken out of the environment of the process, whose first state the kernel shows to
 * whoever may look at the process. Only those that a ref names are taken, so that a later configuration still finds the
 * others where they were.
 */
export interface TakenVariables {
  /** Where the platform does not allow it, or there is no such variable, nothing happens. */
  take(names: Iterable<string>): void;
  /** The bytes of a variable that was taken. */
  valueOf(name: string): Buffer | undefined;
}

export function createTakenVariables(environment: Environment, kernel: Native | null = native): TakenVariables {
  const values = new Map<string, Buffer>();
  return {
    take(names) {
      for (const name of names) {
        const value = values.has(name) ? undefined : kernel?.takeVariable(name);
        if (value === undefined) continue;
        values.set(name, value);
        Reflect.deleteProperty(environment, name);
      }
    },
    valueOf: (name) => values.get(name),
  };
}
