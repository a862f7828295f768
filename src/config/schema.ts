import * as Type from '@sinclair/typebox';
import { Errors, type ValueError, ValueErrorType } from '@sinclair/typebox/errors';
import { IDENTIFIER_PATTERN } from '../domain/identifier.js';
import { didYouMean } from './problems.js';
import { childOf, splitPointer } from './pointer.js';

/** The building blocks of both configuration schemas. Every object is closed, and `rule` says in words what is allowed. */
interface Ruled extends Type.SchemaOptions {
  readonly rule: string;
}

const WELL_FORMED = 'well-formed';
Type.FormatRegistry.Set(WELL_FORMED, (value) => value.isWellFormed());

/** Well-formed, as half of a surrogate pair becomes another character in the name of a file, and has no percent-encoding. */
function text(pattern: string, rule: string, options: Type.SchemaOptions = {}) {
  return Type.String({ ...options, pattern, format: WELL_FORMED, rule } satisfies Ruled);
}

export const IDENTIFIER_RULE =
  'must be a lower-case letter, then lower-case letters, digits and underscores, 128 characters at most';

export function identifier(options: Type.SchemaOptions = {}) {
  return text(IDENTIFIER_PATTERN, IDENTIFIER_RULE, options);
}

const CLEAN = '[^\\s\\x00-\\x1f\\x7f-\\x9f]';

/** Not empty, no white space around it, no control characters. */
export function cleanText(options: Type.SchemaOptions = {}) {
  return text(
    `^${CLEAN}(?:[^\\x00-\\x1f\\x7f-\\x9f]*${CLEAN})?$`,
    'must not be empty, have white space around it or hold a control character',
    options,
  );
}

export function absolutePath(options: Type.SchemaOptions = {}) {
  return text(
    `^/(?:[^\\x00-\\x1f\\x7f-\\x9f]*${CLEAN})?$`,
    'must be an absolute path, without white space around it and without control characters',
    options,
  );
}

/** What a header of HTTP can carry. */
export function headerText(options: Type.SchemaOptions = {}) {
  return text('^[\\x21-\\x7e]+$', 'must be made of visible ASCII characters', options);
}

/** A rule that `check` tells in words of its own: it stands where only editors look for one. */
export function forEditors(rule: Readonly<Record<string, unknown>>): Type.SchemaOptions {
  return { allOf: [rule] };
}

const SEGMENT = String.raw`(?!\.{1,2}(?:/|$))[^/]+`;

/** With one slash between them, and none of them ".", ".." or empty. */
export const SEGMENTS_PATTERN = `${SEGMENT}(?:/${SEGMENT})*`;

const SEGMENTS = new RegExp(`^${SEGMENTS_PATTERN}$`);

export function hasBadSegment(path: string): boolean {
  return !SEGMENTS.test(path);
}

export function wholeNumberRule(minimum: number, maximum: number): string {
  return `must be a whole number from ${minimum} to ${maximum}`;
}

export function wholeNumber(minimum: number, maximum: number, options: Type.SchemaOptions = {}) {
  return Type.Integer({ ...options, minimum, maximum });
}

export function octalMode(options: Type.SchemaOptions = {}) {
  return text('^0?[0-7]{3}$', 'must be an octal mode in quotes, as "0600"', {
    ...options,
    bareNumber: 'must be in quotes, as "0600": a bare number is not read as octal',
  });
}

export function oneOf<const T extends readonly string[]>(values: T, options: Type.SchemaOptions = {}) {
  return Type.Union(
    values.map((value) => Type.Literal(value as T[number])),
    options,
  );
}

export function closedObject<T extends Record<string, Type.TSchema>>(properties: T, options: Type.SchemaOptions = {}) {
  return Type.Object(properties, { ...options, additionalProperties: false });
}

/** `at` the key: not the value is wrong, but that the key is there. */
export type Report = (pointer: string, message: string, at?: 'key') => void;

export interface Checked {
  readonly fits: boolean;
  /** What stands at a pointer below the checked value; undefined where nothing does, or what is wrong. */
  readonly at: (pointer: string) => unknown;
}

/**
 * Tells every way in which `value`, which stands at `pointer`, does not fit. What is right of it can be had all the
 * same, so that the rules beyond the schema find what they can find.
 */
export function check(schema: Type.TSchema, value: unknown, pointer: string, report: Report): Checked {
  const wrong = new Set<string>();
  for (const error of itemByItem(Errors(schema, value))) {
    if (wrong.has(error.path)) continue; // what is missing is also of the wrong type
    wrong.add(error.path);
    if (error.type === ValueErrorType.ObjectAdditionalProperties) {
      report(pointer + error.path, unknownKey(error.path, Object.keys(propertiesOf(error.schema))), 'key');
    } else {
      report(pointer + error.path, describe(error.type, error.schema, error.value));
    }
  }
  return {
    fits: wrong.size === 0,
    at: (place) => (wrong.has(place) ? undefined : splitPointer(place).reduce(childOf, value)),
  };
}

/** Where a choice has lists in it and a list was given, what is wrong with the list counts and not that nothing fits. */
function* itemByItem(errors: Iterable<ValueError>): Generator<ValueError> {
  for (const error of errors) {
    const choices = Array.isArray(error.value) ? ((error.schema['anyOf'] ?? []) as Type.TSchema[]) : [];
    const ofList = error.errors[choices.findIndex(({ type }) => type === 'array')];
    if (ofList === undefined) yield error;
    else yield* ofList;
  }
}

function describe(type: ValueErrorType, schema: Type.TSchema, value: unknown): string {
  if (type === ValueErrorType.ObjectRequiredProperty) return `is missing: ${String(schema.description)}`;
  const rule = ruleBroken(type, schema, value);
  return value === null ? `is empty: it ${rule}` : rule;
}

/** What to say of a key that is none of the known ones. */
export function unknownKey(pointer: string, known: readonly string[]): string {
  const key = splitPointer(pointer).at(-1) as string;
  if (key === '<<') return 'is an unknown key: merge keys are not read; write the keys out';
  return `is an unknown key${didYouMean(key, known) || `; known here: ${known.join(', ')}`}`;
}

function propertiesOf(schema: Type.TSchema): object {
  return (schema as unknown as { properties: object }).properties;
}

function ruleBroken(type: ValueErrorType, schema: Type.TSchema, value: unknown): string {
  switch (type) {
    case ValueErrorType.Object:
      return 'must be a mapping';
    case ValueErrorType.Array:
      return 'must be a list';
    case ValueErrorType.String:
      if (typeof value === 'number') {
        return 'bareNumber' in schema
          ? String(schema['bareNumber'])
          : 'must be a string, not a bare number: put it in quotes';
      }
      return typeof value === 'boolean'
        ? 'must be a string, not a bare true or false: put it in quotes'
        : 'must be a string';
    case ValueErrorType.StringFormat:
      return 'is not well-formed Unicode';
    case ValueErrorType.Union: {
      if ('rule' in schema) return String(schema['rule']);
      const values = (schema as unknown as { anyOf: { const: string }[] }).anyOf.map((option) => option.const);
      const hint = typeof value === 'string' ? didYouMean(value, values) : '';
      return `must be one of ${values.join(', ')}${hint}`;
    }
    case ValueErrorType.Integer:
    case ValueErrorType.IntegerMinimum:
    case ValueErrorType.IntegerMaximum: {
      const quoted = typeof value === 'string' && /^[+-]?\d+$/.test(value) ? ', not in quotes' : '';
      return `${wholeNumberRule(schema['minimum'] as number, schema['maximum'] as number)}${quoted}`;
    }
    default: {
      const { rule } = schema as unknown as Ruled;
      const isPattern = rule === IDENTIFIER_RULE && typeof value === 'string' && value.includes('*');
      return isPattern ? `${rule}; there are no patterns: each is named` : rule;
    }
  }
}
