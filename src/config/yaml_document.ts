import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, visit } from 'yaml';
import type { Alias, Document, Node, Pair } from 'yaml';

/** How many nodes aliases may stand for, all together: enough for shared lists, too few for an alias bomb. */
const MAX_ALIASED_NODES = 100_000;
const MAX_DEPTH = 100;

export interface Place {
  readonly line: number;
  readonly column: number;
}

export interface YamlProblem {
  /** JSON pointer of the place that is wrong. */
  readonly pointer: string;
  readonly place: Place;
  readonly message: string;
}

export interface YamlDocument {
  /** Plain data: null-prototype objects, arrays and scalars; undefined when the text is no single YAML document. */
  readonly data: unknown;
  readonly problems: readonly YamlProblem[];
  /** A scalar's place is its own, a mapping's or list's that of its key; what is absent stands at its parent's place. */
  placeOf(pointer: string): Place;
}

/**
 * Reads one YAML 1.2 document (core schema). With `section` only that key of the root mapping is read strictly, as the
 * rest of the file belongs to others. Messages hold no text of the file: it may be a path.
 */
export function parseYaml(text: string, section?: string): YamlDocument {
  const lines = new LineCounter();
  const places = new Map<string, Place>();
  const problems: YamlProblem[] = [];

  function placeAt(offset: number): Place {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  }

  function placeOf(pointer: string): Place {
    let at = pointer;
    for (;;) {
      const place = places.get(at);
      if (place !== undefined) return place;
      if (at === '') return { line: 1, column: 1 };
      at = at.slice(0, at.lastIndexOf('/'));
    }
  }

  function syntaxProblem(offset: number, message: string): void {
    problems.push({ pointer: '', place: placeAt(offset), message });
  }

  let document: Document.Parsed;
  try {
    document = parseDocument(text, {
      version: '1.2',
      schema: 'core',
      merge: false,
      uniqueKeys: false, // found below, where the key path is known
      prettyErrors: false, // a pretty error quotes the file
      logLevel: 'silent',
      lineCounter: lines,
    });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    syntaxProblem(0, 'is nested too deeply');
    return { data: undefined, problems, placeOf };
  }

  for (const error of [...document.errors, ...document.warnings]) {
    syntaxProblem(error.pos[0], `is not valid YAML: ${error.code.toLowerCase().replaceAll('_', ' ')}`);
  }
  if (document.directives.yaml.version !== '1.2') syntaxProblem(0, 'must be YAML 1.2: remove the %YAML directive');
  if (problems.length > 0) return { data: undefined, problems, placeOf };

  const targets = aliasTargets(document);
  const open = new Set<Node>();
  let aliased = 0;

  function problem(pointer: string, node: Node | null, message: string): void {
    problems.push({ pointer, place: node?.range ? placeAt(node.range[0]) : placeOf(pointer), message });
  }

  function read(node: Node | null, pointer: string, key: Node | null, depth: number, inAlias: boolean): unknown {
    if (node?.range) {
      const shown = isScalar(node) || isAlias(node) ? node : (key ?? node);
      if (shown.range) places.set(pointer, placeAt(shown.range[0]));
    }
    if (inAlias && ++aliased > MAX_ALIASED_NODES) {
      if (aliased === MAX_ALIASED_NODES + 1) problem(pointer, node, 'aliases stand for too much: write it out');
      return undefined;
    }
    if (depth > MAX_DEPTH) {
      problem(pointer, node, 'is nested too deeply');
      return undefined;
    }
    if (isAlias(node)) {
      const target = targets.get(node);
      if (target === undefined || open.has(target)) {
        problem(pointer, node, 'is an alias of something that contains it');
        return undefined;
      }
      const place = placeOf(pointer);
      const value = read(target, pointer, null, depth + 1, true);
      places.set(pointer, place);
      return value;
    }
    if (node === null || isScalar(node)) return node === null ? null : node.value;

    open.add(node);
    const value = isMap(node)
      ? readMap(node.items as Pair<Node, Node | null>[], pointer, depth, inAlias)
      : isSeq(node)
        ? node.items.map((item, index) => read(item as Node, `${pointer}/${index}`, null, depth + 1, inAlias))
        : undefined;
    open.delete(node);
    return value;
  }

  function readMap(
    pairs: readonly Pair<Node, Node | null>[],
    pointer: string,
    depth: number,
    inAlias: boolean,
  ): object {
    const map = Object.create(null) as Record<string, unknown>;
    for (const pair of pairs) {
      const key = isScalar(pair.key) ? pair.key.value : undefined;
      const skipped = section !== undefined && pointer === '' && key !== section;
      if (typeof key !== 'string') {
        if (!skipped) problem(pointer, pair.key, 'has a key that is not a string: put it in quotes');
        continue;
      }
      const at = `${pointer}/${escapePointer(key)}`;
      if (key in map) problem(at, pair.key, 'is there twice');
      else if (skipped) map[key] = undefined;
      else map[key] = read(pair.value, at, pair.key, depth + 1, inAlias);
    }
    return map;
  }

  const data = read(document.contents, '', null, 0, false);
  return { data, problems, placeOf };
}

/** Each alias with the node it stands for: the last one before it with that anchor. */
function aliasTargets(document: Document.Parsed): ReadonlyMap<Alias, Node> {
  const anchors = new Map<string, Node>();
  const targets = new Map<Alias, Node>();
  visit(document, {
    Node(_key, node) {
      if (isAlias(node)) {
        const target = anchors.get(node.source);
        if (target !== undefined) targets.set(node, target);
      } else if (node.anchor !== undefined) {
        anchors.set(node.anchor, node);
      }
    },
  });
  return targets;
}

export function escapePointer(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1');
}

export function splitPointer(pointer: string): string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}
