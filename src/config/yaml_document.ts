import { isAlias, isMap, isScalar, LineCounter } from 'yaml';
import type { Document, Node, Pair, Range } from 'yaml';
import { MAX_YAML_DEPTH, readYamlDocuments } from './bounded_yaml.js';
import { escapePointer } from './pointer.js';
import { aliasTargets } from './yaml_aliases.js';

/** How many nodes aliases may stand for, all together: enough for shared lists, too few for an alias bomb. */
const MAX_ALIASED_NODES = 100_000;

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
  /**
   * A scalar's place is its own, a mapping's or list's that of its key; what is absent stands at its parent's place.
   * `at` the key it is always that of the key.
   */
  readonly placeOf: (pointer: string, at?: 'key') => Place;
  /** Whether the value at this place is undefined in `data` because of one of the problems, not because it is absent. */
  readonly isUnread: (pointer: string) => boolean;
}

const TOO_DEEP = `is nested too deeply; ${MAX_YAML_DEPTH} levels are allowed`;
const TOO_MUCH = 'is too much, with all that aliases (*) stand for; write it out';
const BAD_TAG = 'has a tag (!) that is unknown or does not fit; remove it, or put the value in quotes';

/** What the reader's error codes mean to somebody who has the line before him. */
const SYNTAX: Readonly<Record<string, string>> = {
  BAD_ALIAS: 'a value that begins with "*" must be in quotes',
  BAD_DIRECTIVE: 'a line that begins with "%" is not understood; remove it',
  BAD_DQ_ESCAPE: 'an unknown escape in double quotes; write \\\\ for a backslash, or use single quotes',
  BAD_INDENT: 'wrong indentation, or a "]" or "}" is missing before',
  BAD_SCALAR_START: 'a value that begins with this character must be in quotes',
  BLOCK_AS_IMPLICIT_KEY: 'a value that holds ": " must be in quotes',
  BLOCK_IN_FLOW: 'an indented mapping or list cannot stand within [ ] or { }',
  MISSING_CHAR: 'something is missing: the ": " after a key, a closing quote or bracket, a comma or a space',
  MULTILINE_IMPLICIT_KEY: 'a key goes on over several lines; the ": " after it may be missing',
  TAB_AS_INDENT: 'a tab in the indentation; use spaces',
  TAG_RESOLVE_FAILED: 'an unknown tag (!); remove it, or put the value in quotes',
  UNEXPECTED_TOKEN: 'something that cannot stand here',
};

/** Which kind of value a tag may stand before. */
const TAGGED: ReadonlyMap<string, string> = new Map([
  ['!', 'string'],
  ['tag:yaml.org,2002:str', 'string'],
  ['tag:yaml.org,2002:int', 'number'],
  ['tag:yaml.org,2002:float', 'number'],
  ['tag:yaml.org,2002:bool', 'boolean'],
  ['tag:yaml.org,2002:null', 'null'],
  ['tag:yaml.org,2002:map', 'map'],
  ['tag:yaml.org,2002:seq', 'seq'],
]);

/**
 * Reads one YAML 1.2 document (core schema). With `section` only that key of the root mapping is read, as the rest of
 * the file belongs to others: of other keys there is only the name. Messages hold no text of the file: it may be a path.
 */
export function parseYaml(text: string, section?: string): YamlDocument {
  const lines = new LineCounter();
  const places = new Map<string, Place>();
  const keyPlaces = new Map<string, Place>();
  const unread = new Set<string>();
  const problems: YamlProblem[] = [];
  const result = { problems, placeOf, isUnread: (pointer: string) => unread.has(pointer) };

  function placeAt(offset: number): Place {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  }

  function placeOf(pointer: string, at?: 'key'): Place {
    const place = (at === 'key' ? keyPlaces : places).get(pointer);
    if (place !== undefined) return place;
    return pointer === '' ? { line: 1, column: 1 } : placeOf(pointer.slice(0, pointer.lastIndexOf('/')));
  }

  function syntaxProblem(offset: number, message: string): void {
    problems.push({ pointer: '', place: placeAt(offset), message });
  }

  const read = readYamlDocuments(text, { lines });
  if ('tooDeepAt' in read) {
    syntaxProblem(read.tooDeepAt, TOO_DEEP);
    return { ...result, data: undefined };
  }
  const [document, second] = read.documents as [Document.Parsed, Document.Parsed?];
  // Of what the reader only warns of, tags are told where the value is read, as only then its key path is known; the
  // rest (a "]" as far left as its key) is common and clear.
  const errors = [...document.errors, ...document.warnings.filter(({ code }) => code === 'BAD_DIRECTIVE')];
  for (const { code, pos } of errors) {
    syntaxProblem(pos[0], `is not valid YAML: ${SYNTAX[code] ?? code.toLowerCase().replaceAll('_', ' ')}`);
  }
  if (second !== undefined) {
    syntaxProblem(
      second.range[0],
      'begins a second YAML document; a file has one: remove the "---" or "..." before it',
    );
  }
  if (document.directives.yaml.version !== '1.2') syntaxProblem(0, 'must be YAML 1.2; remove the %YAML line');
  if (problems.length > 0) return { ...result, data: undefined };

  const targets = aliasTargets(document);
  const open = new Set<Node>();
  let aliased = 0;
  let tooMuchIsTold = false;

  /** What is parsed has a range. */
  function placeOfNode(node: Node): Place {
    return placeAt((node.range as Range)[0]);
  }

  function problem(pointer: string, node: Node, message: string): void {
    problems.push({ pointer, place: placeOfNode(node), message });
  }

  /** Why this node has no value, or null. */
  function obstacle(node: Node, depth: number): string | null {
    if (depth > MAX_YAML_DEPTH) return TOO_DEEP;
    if (!isAlias(node)) return null;
    const target = targets.get(node);
    if (target === undefined) return 'is an alias (*) without an anchor (&) before it';
    return open.has(target) ? 'is an alias (*) of something that contains it' : null;
  }

  function readNode(node: Node, pointer: string, shown: Node, depth: number, inAlias: boolean): unknown {
    places.set(pointer, placeOfNode(shown));
    if (inAlias) aliased += 1;
    const why = inAlias && aliased > MAX_ALIASED_NODES ? TOO_MUCH : obstacle(node, depth);
    if (why !== null) {
      // Told once: all that aliases stand for after this is too much.
      if (why !== TOO_MUCH || !tooMuchIsTold) problem(pointer, node, why);
      tooMuchIsTold ||= why === TOO_MUCH;
      unread.add(pointer);
      return undefined;
    }
    if (isAlias(node)) return readNode(targets.get(node) as Node, pointer, shown, depth + 1, true);
    if (!hasFittingTag(node)) problem(pointer, node, BAD_TAG);
    if (isScalar(node)) return node.value;

    open.add(node);
    const value = isMap(node)
      ? readMap(node.items as Pair<Node, Node | null>[], pointer, depth, inAlias)
      : (node.items as Node[]).map((item, index) => readNode(item, `${pointer}/${index}`, item, depth + 1, inAlias));
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
    const keys = new Map<string, Node>();
    for (const { key, value } of pairs) {
      const name = isScalar(key) && hasFittingTag(key) ? key.value : undefined;
      if (section !== undefined && pointer === '' && name !== section) {
        if (typeof name === 'string') map[name] = undefined;
        continue;
      }
      if (typeof name !== 'string') {
        problem(pointer, key, 'has a key that is no string; put it in quotes');
        continue;
      }
      const at = `${pointer}/${escapePointer(name)}`;
      const first = keys.get(name);
      if (first !== undefined) {
        problem(at, key, `is there twice, first in line ${placeOfNode(first).line}`);
        continue;
      }
      keys.set(name, key);
      keyPlaces.set(at, placeOfNode(key));
      const shown = shownNode(key, value);
      if (value === null) {
        places.set(at, placeOfNode(shown));
        map[name] = null;
      } else {
        map[name] = readNode(value, at, shown, depth + 1, inAlias);
      }
    }
    return map;
  }

  const { contents } = document;
  return { ...result, data: contents === null ? null : readNode(contents, '', contents, 0, false) };
}

function hasFittingTag(node: Node): boolean {
  if (isAlias(node) || node.tag === undefined) return true;
  const kind = isMap(node) ? 'map' : isScalar(node) ? (node.value === null ? 'null' : typeof node.value) : 'seq';
  return TAGGED.get(node.tag) === kind;
}

/** A scalar or an alias is shown where it stands, all else where its key does. */
function shownNode(key: Node, value: Node | null): Node {
  const isThere = value?.range && value.range[1] > value.range[0];
  return isThere && (isScalar(value) || isAlias(value)) ? value : key;
}
