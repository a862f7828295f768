import { format } from 'prettier';
import { launchJsonSchema, secretsJsonSchema } from './json_schemas.js';
import { openapiDocument } from './openapi.js';

/** What ships in this folder, by name, with its text. */
export async function schemaFiles(): Promise<ReadonlyMap<string, string>> {
  const documents: readonly (readonly [string, object])[] = [
    ['launch.schema.json', launchJsonSchema()],
    ['secrets.schema.json', secretsJsonSchema()],
    ['openapi.json', await openapiDocument()],
  ];
  const options = { parser: 'json', printWidth: 120 } as const;
  const files = documents.map(async ([name, document]): Promise<[string, string]> => [
    name,
    await format(JSON.stringify(document), options),
  ]);
  return new Map(await Promise.all(files));
}
