import { type TSchema } from '@sinclair/typebox';
import { BACKENDS } from '../src/backends/table.js';
import { LAUNCH_SCHEMA } from '../src/config/launch_config.js';
import { SECRETS_SCHEMAS } from '../src/config/secrets_config.js';
import { IDENTIFIER_PATTERN } from '../src/domain/identifier.js';

/**
 * What editors read. Rules that need both sections, the file system or the accounts of the machine are `check`'s alone,
 * and so are the finer points of addresses and of the names of variables.
 */
export type JsonSchema = Record<string, unknown>;

const DRAFT = 'http://json-schema.org/draft-07/schema#';

export function launchJsonSchema(): JsonSchema {
  return {
    $schema: DRAFT,
    title: 'Launch file of mxm-secretsd',
    ...plain(LAUNCH_SCHEMA),
  };
}

export function secretsJsonSchema(): JsonSchema {
  const stores = [...BACKENDS.keys()].map((backend) => {
    const store = plain(SECRETS_SCHEMAS.stores(backend)) as { properties: Record<string, JsonSchema> };
    const { description } = store.properties['backend'] as JsonSchema;
    return { title: backend, ...store, properties: { ...store.properties, backend: { description, const: backend } } };
  });
  // Of the choice alone, editors offer no backend that needs keys which are not there yet.
  const backend = { enum: [...BACKENDS.keys()] };
  return {
    $schema: DRAFT,
    title: 'Secrets file of mxm-secretsd',
    type: 'object',
    required: ['stores', 'refs', 'policies'],
    properties: {
      stores: section('where values live', { type: 'object', properties: { backend }, oneOf: stores }),
      refs: section('the names that callers ask for', plain(SECRETS_SCHEMAS.refs)),
      policies: section('who may read', plain(SECRETS_SCHEMAS.policies)),
    },
    additionalProperties: false,
  };
}

function section(description: string, entry: JsonSchema): JsonSchema {
  return {
    description,
    type: 'object',
    propertyNames: { pattern: IDENTIFIER_PATTERN },
    additionalProperties: entry,
  };
}

const OWN_KEYWORDS: ReadonlySet<string> = new Set(['rule', 'bareNumber', 'format']);

/** Without the keywords that only this project knows, and a choice of texts as the `enum` that editors complete. */
function plain(schema: TSchema): JsonSchema {
  const copy = JSON.parse(JSON.stringify(schema)) as unknown;
  return clean(copy) as JsonSchema;
}

function clean(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(clean);
  if (typeof node !== 'object' || node === null) return node;
  const entries = Object.entries(node).filter(([key]) => !OWN_KEYWORDS.has(key));
  const { anyOf, ...rest } = Object.fromEntries(entries.map(([key, value]) => [key, clean(value)]));
  if (anyOf === undefined) return rest;
  const choices = anyOf as JsonSchema[];
  if (choices.every((choice) => typeof choice['const'] === 'string')) {
    return { ...rest, type: 'string', enum: choices.map((choice) => choice['const']) };
  }
  return { ...rest, anyOf };
}
