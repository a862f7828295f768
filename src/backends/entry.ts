import { type Alias, type Document, isAlias, isMap, isScalar, type Node, type Scalar, visit, type YAMLMap } from 'yaml';
import { readYamlDocuments } from '../config/bounded_yaml.js';
import { aliasTargets } from '../config/yaml_aliases.js';
import { allocateSecretBytes, copySecretBytes, isUtf8 } from '../domain/secret_bytes.js';
import { type BackendAnswer, failure } from './backend.js';

/** An entry may end with this many line endings beside the one that gopass adds: they do not count as the value's. */
export const TRAILING_LINE_ENDINGS = 4096;

const LF = 0x0a;
const CR = 0x0d;
const YAML_MARK = Buffer.from('---');

/** What is read of YAML at most: some 1,000 keys. Nothing else runs meanwhile. */
const MAX_YAML_TOKENS = 10_000;

const YAML_BINARY = 'tag:yaml.org,2002:binary';
/** Node decodes anything that remotely looks like it. */
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)?$/;
const UNPAIRED_SURROGATE = /\p{Surrogate}/u;

/** What a value of YAML begins with that may go on in further lines: quotes, the heads of blocks, lists and mappings. */
const YAML_OPENERS = Buffer.from('"\'|>[{');
/** What an anchor or a tag before it begins with. */
const YAML_PROPERTIES = Buffer.from('&!');

/** The length of `bytes` without its trailing line endings (LF and CRLF). */
export function lengthWithoutLineEndings(bytes: Buffer): number {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === LF) {
    end -= 1;
    if (end > 0 && bytes[end - 1] === CR) end -= 1;
  }
  return end;
}

/**
 * The value out of a password-store entry: whole; its first line (`password`); or a key of it. A key is a
 * `KEY: VALUE` line after the first (all its values, one a line, where it is there several times) or, in an entry
 * with a `---` line, a scalar of the YAML mapping below that line: what `gopass show ENTRY KEY` prints, except that a
 * YAML scalar is the text that stands there (`0123` and not 83) and that nothing but text is a value.
 *
 * Takes the entry over, and fills it with zeros unless it is itself the value.
 */
export function valueOfEntry(entry: Buffer, field: string | undefined): BackendAnswer {
  // Of a damaged entry gpg and gopass may give nothing and succeed: it is empty then, and not without that field.
  if (field === undefined || lengthWithoutLineEndings(entry) === 0) {
    return { ok: true, value: withoutLineEndings(entry) };
  }
  try {
    return field === 'password' ? joined([firstLine(entry)]) : (yamlValue(entry, field) ?? keyValues(entry, field));
  } finally {
    entry.fill(0);
  }
}

/** The same memory. */
export function withoutLineEndings(bytes: Buffer): Buffer {
  const length = lengthWithoutLineEndings(bytes);
  return length === bytes.length ? bytes : bytes.subarray(0, length);
}

function* linesOf(entry: Buffer): Generator<{ line: Buffer; start: number }> {
  let start = 0;
  while (start < entry.length) {
    const at = entry.indexOf(LF, start);
    const end = at === -1 ? entry.length : at;
    yield { line: entry.subarray(start, end > start && entry[end - 1] === CR ? end - 1 : end), start };
    start = end + 1;
  }
}

function firstLine(entry: Buffer): Buffer {
  const [first] = linesOf(entry);
  return (first as { readonly line: Buffer }).line; // no entry is empty here
}

function joined(parts: readonly Buffer[]): BackendAnswer {
  const value = allocateSecretBytes(parts.reduce((sum, part) => sum + part.length + 1, 0)).fill(LF);
  let at = 0;
  for (const part of parts) {
    copySecretBytes(part, value, at);
    at += part.length + 1;
  }
  return { ok: true, value: withoutLineEndings(value) };
}

function keyValues(entry: Buffer, key: string): BackendAnswer {
  const wanted = Buffer.from(key);
  const values: Buffer[] = [];
  let first = true;
  for (const { line } of linesOf(entry)) {
    const value = first ? undefined : valueInLine(line, wanted);
    first = false;
    if (value !== undefined) values.push(value);
  }
  return values.length === 0 ? failure('secret_not_found', 'field_missing') : joined(values);
}

function valueInLine(line: Buffer, key: Buffer): Buffer | undefined {
  const separator = line.indexOf(': ');
  if (separator === -1 || !withoutBlanks(line.subarray(0, separator)).equals(key)) return undefined;
  return line.subarray(separator + 2);
}

function withoutBlanks(bytes: Buffer): Buffer {
  let [start, end] = [0, bytes.length];
  while (start < end && isBlank(bytes[start])) start += 1;
  while (end > start && isBlank(bytes[end - 1])) end -= 1;
  return bytes.subarray(start, end);
}

function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x09;
}

/** Undefined where the entry has no YAML part: no `---` line, or what begins there is no YAML mapping. */
function yamlValue(entry: Buffer, key: string): BackendAnswer | undefined {
  const start = startOfYaml(entry);
  if (start === undefined || !isUtf8(entry.subarray(start))) return undefined;
  // A YAML parser works on strings: the one place where a value of a password store is held as one.
  const text = entry.toString('utf8', start);
  const read = readYamlDocuments(text, { schema: 'failsafe', maxTokens: MAX_YAML_TOKENS });
  if ('tooDeepAt' in read) return failure('backend_failed', 'yaml_too_large');
  const [document] = read.documents; // of several the first counts
  if (document !== undefined && document.errors.length > 0) {
    return isOpenInLine(entry.subarray(start), key) ? failure('backend_failed', 'yaml_invalid') : undefined;
  }
  if (!isMap(document?.contents)) return undefined;
  const targets = aliasTargets(document);
  if (hasFault(document, targets)) return undefined;

  const meant = (node: unknown): unknown => (isAlias(node) ? targets.get(node) : node);
  const pair = document.contents.items.find((item) => textOf(meant(item.key)) === key);
  if (pair === undefined || pair.value === null) return failure('secret_not_found', 'field_missing');
  const node = meant(pair.value);
  if (!isScalar<string>(node)) return failure('backend_failed', 'field_not_text');
  const value = bytesOf(node);
  return value && { ok: true, value: withoutLineEndings(value) };
}

/** Undefined where it cannot be what its tag or its escapes say: then it is no YAML. */
function bytesOf({ value, tag }: Scalar<string>): Buffer | undefined {
  if (tag !== YAML_BINARY) return UNPAIRED_SURROGATE.test(value) ? undefined : Buffer.from(value);
  const base64 = value.replaceAll(/[\r\n]/g, '');
  return BASE64.test(base64) ? Buffer.from(base64, 'base64') : undefined;
}

/**
 * Whether the value of a key may go on behind the end of its line. gopass reads as YAML some of what this parser refuses,
 * and what it refuses itself as lines: of such a value the line would be a piece.
 */
function isOpenInLine(part: Buffer, key: string): boolean {
  const wanted = Buffer.from(key);
  let mayGoOn = false;
  for (const { line } of linesOf(part)) {
    if (withoutBlanks(line).length === 0) continue; // a value may go on below it
    if (mayGoOn && isBlank(line[0])) return true;
    const value = valueInLine(line, wanted);
    mayGoOn = value !== undefined;
    const [begin] = withoutProperties(value ?? Buffer.alloc(0));
    if (begin !== undefined && YAML_OPENERS.includes(begin)) return true;
  }
  return false;
}

function withoutProperties(value: Buffer): Buffer {
  let rest = withoutBlanks(value);
  while (rest[0] !== undefined && YAML_PROPERTIES.includes(rest[0])) {
    const end = rest.findIndex(isBlank);
    rest = withoutBlanks(rest.subarray(end === -1 ? rest.length : end));
  }
  return rest;
}

function textOf(node: unknown): string | undefined {
  return isScalar<string>(node) ? node.value : undefined;
}

/** An alias that stands for nothing, or a key that is there twice. */
function hasFault(document: Document.Parsed, targets: ReadonlyMap<Alias, Node>): boolean {
  let isFault = false;
  visit(document, {
    Node(_, node) {
      isFault = isAlias(node) ? !targets.has(node) : isMap(node) && hasKeyTwice(node);
      return isFault ? visit.BREAK : undefined;
    },
  });
  return isFault;
}

function hasKeyTwice({ items }: YAMLMap): boolean {
  return new Set(items.map(({ key }) => textOf(key) ?? key)).size < items.length;
}

/** gopass takes any line that begins with `---` for the beginning; the first line only where it is nothing else. */
function startOfYaml(entry: Buffer): number | undefined {
  for (const { line, start } of linesOf(entry)) {
    const head = start === 0 ? withoutBlanks(line) : line.subarray(0, YAML_MARK.length);
    if (head.equals(YAML_MARK)) return start;
  }
  return undefined;
}
