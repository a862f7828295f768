import { type SchemaOptions, type TSchema, Type } from '@sinclair/typebox';
import { ValueErrorType, Value } from '@sinclair/typebox/value';
import { IDENTIFIER_PATTERN } from '../domain/identifier.js';
import { didYouMean } from './problems.js';
import { splitPointer } from './yaml_document.js';

/** The building blocks of both configuration schemas. Every object is closed, and `rule` says in words what is allowed. */
interface Ruled extends SchemaOptions {
  readonly rule: string;
}

function text(pattern: string, rule: string, options: SchemaOptions = {}) {
  return Type.String({ ...options, pattern, rule } satisfies Ruled);
}

const IDENTIFIER_RULE =
  'must be a lower-case letter, then lower-case letters, digits and underscores, 128 characters at most';

export function identifier(options: SchemaOptions = {}) {
  return text(IDENTIFIER_PATTERN, IDENTIFIER_RULE, options);
}

const CLEAN = '[^\\s\\x00-\\x1f\\x7f-\\x9f]';

/** Not empty, no white space around it, no control characters. */
export function cleanText(options: SchemaOptions = {}) {
  return text(
    `^${CLEAN}(?:[^\\x00-\\x1f\\x7f-\\x9f]*${CLEAN})?$`,
    'must not be empty, have white space around it or hold a control character',
    options,
  );
}

export function absolutePath(options: SchemaOptions = {}) {
  return text('^/[^\\x00-\\x1f\\x7f-\\x9f]*$', 'must be an absolute path', options);
}

export function wholeNumber(minimum: number, maximum: number, options: SchemaOptions = {}) {
  return Type.Integer({ ...options, minimum, maximum });
}

export function octalMode(options: SchemaOptions = {}) {
  return text('^0?[0-7]{3}$', 'must be an octal mode in quotes, as "0600"', options);
}

export function oneOf<const T extends readonly string[]>(values: T, options: SchemaOptions = {}) {
  return Type.Union(
    values.map((value) => Type.Literal(value as T[number])),
    options,
  );
}

export function closedObject<T extends Record<string, TSchema>>(properties: T, options: SchemaOptions = {}) {
  return Type.Object(properties, { ...options, additionalProperties: false });
}

export type Report = (pointer: string, message: string) => void;

/** Tells every way in which `value`, which stands at `pointer`, does not fit; true when it fits. */
export function fits(schema: TSchema, value: unknown, pointer: string, report: Report): boolean {
  const told = new Set<string>();
  for (const error of Value.Errors(schema, value)) {
    if (told.has(error.path)) continue; // what is missing is also of the wrong type
    told.add(error.path);
    report(pointer + error.path, describe(error.type, error.schema, error.value, error.path));
  }
  return told.size === 0;
}

function describe(type: ValueErrorType, schema: TSchema, value: unknown, pointer: string): string {
  switch (type) {
    case ValueErrorType.ObjectRequiredProperty:
      return 'is missing';
    case ValueErrorType.ObjectAdditionalProperties: {
      const known = Object.keys((schema as unknown as { properties: object }).properties);
      return `is an unknown key${didYouMean(splitPointer(pointer).at(-1) ?? '', known)}`;
    }
    case ValueErrorType.Object:
      return 'must be a mapping';
    case ValueErrorType.Array:
      return 'must be a list';
    case ValueErrorType.String:
      return typeof value === 'number' ? 'must be a string, not a bare number: put it in quotes' : 'must be a string';
    case ValueErrorType.Union: {
      if ('rule' in schema) return String(schema['rule']);
      const values = (schema as unknown as { anyOf: { const: string }[] }).anyOf.map((option) => option.const);
      const hint = typeof value === 'string' ? didYouMean(value, values) : '';
      return `must be one of ${values.join(', ')}${hint}`;
    }
    case ValueErrorType.Integer:
    case ValueErrorType.IntegerMinimum:
    case ValueErrorType.IntegerMaximum:
      return `must be a whole number from ${String(schema['minimum'])} to ${String(schema['maximum'])}`;
    default:
      return (schema as unknown as Ruled).rule;
  }
}

export { Type, type Static } from '@sinclair/typebox';
