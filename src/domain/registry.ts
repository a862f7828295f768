/** Read-only lookup by name. Names come from outside, so they live in a Map, never as keys of an object. */
export class Registry<T extends { readonly name: string }> {
  readonly #items: ReadonlyMap<string, T>;

  /** Throws a RangeError when two items have one name: a caller's mistake, as configuration is checked before. */
  constructor(items: Iterable<T>) {
    const map = new Map<string, T>();
    for (const item of items) {
      if (map.has(item.name)) throw new RangeError(`two items of a registry are named "${item.name}"`);
      map.set(item.name, Object.freeze(item));
    }
    this.#items = map;
  }

  get(name: string): T | undefined {
    return this.#items.get(name);
  }

  has(name: string): boolean {
    return this.#items.has(name);
  }

  /** Sorted by code unit. */
  names(): string[] {
    return [...this.#items.keys()].sort();
  }

  values(): IterableIterator<T> {
    return this.#items.values();
  }
}
