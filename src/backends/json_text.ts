import { allocateSecretBytes, isUtf8 } from '../domain/secret_bytes.js';

/** What stands at a place of a JSON document. */
export type JsonPlace =
  /** The value is a Buffer of its own. */
  | { readonly kind: 'text'; readonly value: Buffer }
  /** A number, a list, a mapping, true, false or null. */
  | { readonly kind: 'no_text' }
  | { readonly kind: 'missing' }
  /** The whole is no JSON document in UTF-8, or is nested deeper than 512 levels. */
  | { readonly kind: 'malformed' };

const MAX_DEPTH = 512;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LOWER_U = 0x75;
const LOWER_E = 0x65;
const UPPER_E = 0x45;
const PLUS = 0x2b;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
/** By their first byte: most of what is looked at is none of them. */
const LITERALS: ReadonlyMap<number | undefined, Buffer> = new Map(
  ['true', 'false', 'null'].map((word) => [word.charCodeAt(0), Buffer.from(word)]),
);
const SHORT_ESCAPES: ReadonlyMap<number | undefined, number> = new Map(
  [...'""\\\\//b\bf\fn\nr\rt\t'.matchAll(/(.)([^])/g)].map(([, letter = '', meant = '']) => [
    letter.charCodeAt(0),
    meant.charCodeAt(0),
  ]),
);

/** What stands between the quotes of a string. */
interface Range {
  readonly start: number;
  readonly end: number;
  readonly hasEscapes: boolean;
}

/**
 * The text at a path of keys of a JSON document, found and unescaped without a string being made of it: a Buffer can
 * be filled with zeros, a string cannot. It is the text that `JSON.parse` gives: the last of several equal keys
 * counts, and half of a surrogate pair becomes U+FFFD.
 */
export function jsonTextAt(json: Buffer, path: readonly string[]): JsonPlace {
  const keys = path.map((key) => Buffer.from(key));
  const found: { place: Range | 'no_text' | 'missing' } = { place: 'missing' };
  let at = 0;

  // Each of these reads one thing from `at` on and passes over it; false where something else stands there.

  function blanks(): void {
    while (json[at] === 0x20 || json[at] === 0x0a || json[at] === 0x0d || json[at] === 0x09) at += 1;
  }

  function sign(character: string): boolean {
    blanks();
    const is = json[at] === character.charCodeAt(0);
    if (is) at += 1;
    return is;
  }

  function string(): Range | false {
    if (!sign('"')) return false;
    const start = at;
    let hasEscapes = false;
    while (json[at] !== QUOTE) {
      const byte = json[at];
      if (byte === undefined || byte < 0x20) return false;
      const isEscape = byte === BACKSLASH;
      const length = isEscape ? escapeLength(json, at) : 1;
      if (length === 0) return false;
      hasEscapes ||= isEscape;
      at += length;
    }
    at += 1;
    return { start, end: at - 1, hasEscapes };
  }

  function numberOrLiteral(): boolean {
    const literal = LITERALS.get(json[at]);
    if (literal === undefined) return number();
    const stands = standsAt(json, at, literal);
    at += literal.length;
    return stands;
  }

  function number(): boolean {
    if (json[at] === MINUS) at += 1;
    if (json[at] === ZERO) at += 1;
    else if (!digits()) return false;
    if (json[at] === POINT) {
      at += 1;
      if (!digits()) return false;
    }
    if (json[at] !== LOWER_E && json[at] !== UPPER_E) return true;
    at += 1;
    if (json[at] === PLUS || json[at] === MINUS) at += 1;
    return digits();
  }

  function digits(): boolean {
    const start = at;
    for (let byte = json[at]; byte !== undefined && byte >= 0x30 && byte <= 0x39; byte = json[at]) at += 1;
    return at > start;
  }

  /** `matched`: how many keys of the path lead here; -1 where others do. */
  function value(matched: number, depth: number): boolean {
    if (depth > MAX_DEPTH) return false;
    const isMeant = matched === keys.length;
    if (isMeant) found.place = 'no_text';
    if (sign('{')) return sign('}') || mapping(matched, depth);
    if (sign('[')) return sign(']') || list(depth);
    if (json[at] !== QUOTE) return numberOrLiteral();
    const range = string();
    if (isMeant && range !== false) found.place = range;
    return range !== false;
  }

  function mapping(matched: number, depth: number): boolean {
    do {
      const key = string();
      if (key === false || !sign(':')) return false;
      const wanted = keys[matched];
      const leads = wanted !== undefined && says(json, key, wanted);
      if (leads) found.place = 'missing'; // whatever an equal key before had
      if (!value(leads ? matched + 1 : -1, depth + 1)) return false;
    } while (sign(','));
    return sign('}');
  }

  function list(depth: number): boolean {
    do {
      if (!value(-1, depth + 1)) return false;
    } while (sign(','));
    return sign(']');
  }

  if (!isUtf8(json) || !value(0, 0)) return { kind: 'malformed' };
  blanks();
  if (at !== json.length) return { kind: 'malformed' };
  const { place } = found;
  return typeof place === 'string' ? { kind: place } : { kind: 'text', value: unescaped(json, place) };
}

/** There can be a million keys: a Buffer is made of those alone that are written with escapes. */
function says(json: Buffer, key: Range, wanted: Buffer): boolean {
  if (key.hasEscapes) return unescaped(json, key).equals(wanted);
  return key.end - key.start === wanted.length && standsAt(json, key.start, wanted);
}

/** Byte by byte: what compares many at once has the value that stands behind them in registers, too. */
function standsAt(json: Buffer, at: number, text: Buffer): boolean {
  return text.every((byte, index) => json[at + index] === byte);
}

/** Of the escape that begins with the backslash at `at`; 0 where it is none. */
function escapeLength(json: Buffer, at: number): number {
  if (SHORT_ESCAPES.has(json[at + 1])) return 2;
  return json[at + 1] === LOWER_U && codeUnit(json, at) !== undefined ? 6 : 0;
}

/** The UTF-16 unit that `\uXXXX` at `at` means; undefined where none is written there. */
function codeUnit(json: Buffer, at: number): number | undefined {
  let unit = 0;
  for (let digit = at + 2; digit < at + 6; digit += 1) {
    const value = hexDigit(json[digit]);
    if (value === undefined) return undefined;
    unit = unit * 16 + value;
  }
  return unit;
}

function hexDigit(byte = 0): number | undefined {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : undefined;
}

/** The text of a well-formed string, whose escapes are never shorter than what they mean. */
function unescaped(json: Buffer, { start, end }: Range): Buffer {
  const text = allocateSecretBytes(end - start);
  let length = 0;
  for (let at = start; at < end;) {
    const byte = json[at] as number;
    if (byte !== BACKSLASH) {
      text[length] = byte;
      length += 1;
      at += 1;
      continue;
    }
    const short = SHORT_ESCAPES.get(json[at + 1]);
    const codePoint = short ?? codePointAt(json, at);
    at += short !== undefined ? 2 : codePoint > 0xffff ? 12 : 6;
    length += putUtf8(text, length, codePoint);
  }
  return text.subarray(0, length);
}

/** Of `\uXXXX`, or of two of them that are a surrogate pair. */
function codePointAt(json: Buffer, at: number): number {
  const unit = codeUnit(json, at) as number;
  if (unit < 0xd800 || unit > 0xdfff) return unit;
  const isEscape = json[at + 6] === BACKSLASH && json[at + 7] === LOWER_U;
  const next = isEscape ? codeUnit(json, at + 6) : undefined;
  if (unit > 0xdbff || next === undefined || next < 0xdc00 || next > 0xdfff) return 0xfffd;
  return 0x10000 + ((unit - 0xd800) << 10) + (next - 0xdc00);
}

/** Writes a code point, and gives how many bytes it takes. */
function putUtf8(target: Buffer, at: number, codePoint: number): number {
  if (codePoint < 0x80) {
    target[at] = codePoint;
    return 1;
  }
  const length = codePoint < 0x800 ? 2 : codePoint < 0x10000 ? 3 : 4;
  let rest = codePoint;
  for (let index = length - 1; index > 0; index -= 1) {
    target[at + index] = 0x80 | (rest & 0x3f);
    rest >>= 6;
  }
  target[at] = ((0xf00 >> length) & 0xff) | rest;
  return length;
}
