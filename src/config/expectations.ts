import * as Type from '@sinclair/typebox';
import { type Checked, check, closedObject, identifier } from './schema.js';
import { displayPath } from './display_path.js';
import { isIdentifier } from '../domain/identifier.js';
import type { Principal } from '../domain/identity.js';
import { escapePointer, isMapping } from './pointer.js';
import { ConfigError, type ConfigProblem, inReadingOrder } from './problems.js';
import { IDENTIFIER_RULE } from './schema.js';
import { readYamlFile, type YamlFile } from './yaml_file.js';

/** What somebody wants the policies to say of one name and one principal. */
export interface Expectation {
  readonly principal: Principal;
  readonly secret: string;
  readonly decision: 'allowed' | 'denied';
  /** `FILE:LINE` of the name. */
  readonly place: string;
}

const roleSchema = closedObject({
  allow: Type.Optional(Type.Array(identifier(), { description: 'the secrets that this role may read' })),
  deny: Type.Optional(Type.Array(identifier(), { description: 'the secrets that this role may not read' })),
});

const DECISIONS = { allow: 'allowed', deny: 'denied' } as const;

/** Reads a file `ROLE: {allow: […], deny: […]}`. Throws a ConfigError with every problem. */
export function loadExpectations(file: string): readonly Expectation[] {
  const problems: ConfigProblem[] = [];
  const yaml = readYamlFile(file, displayPath, (problem) => problems.push(problem));
  const expectations = yaml === undefined ? [] : readRoles(file, yaml);
  if (problems.length > 0) throw new ConfigError(inReadingOrder(problems));
  return expectations;
}

function readRoles(file: string, yaml: YamlFile): Expectation[] {
  const { data, report } = yaml;
  if (!isMapping(data)) {
    report('', `${data === null ? 'is empty: it ' : ''}must be a mapping of roles, each with allow and deny`);
    return [];
  }
  return Object.entries(data).flatMap(([role, lists]) => {
    const pointer = `/${escapePointer(role)}`;
    if (!isIdentifier(role)) report(pointer, `is no role: it ${IDENTIFIER_RULE}`, 'key');
    return readLists(file, yaml, role, check(roleSchema, lists, pointer, report));
  });
}

function readLists(file: string, { report, placeOf }: YamlFile, principal: Principal, lists: Checked): Expectation[] {
  const seen = new Map<string, string>();
  return (['allow', 'deny'] as const).flatMap((list) =>
    ((lists.at(`/${list}`) ?? []) as unknown[]).flatMap((_, index) => {
      const secret = lists.at(`/${list}/${index}`) as string | undefined;
      if (secret === undefined) return []; // told by the schema
      const pointer = `/${escapePointer(principal)}/${list}/${index}`;
      const first = seen.get(secret);
      if (first === undefined) seen.set(secret, `${list}[${index}]`);
      else report(pointer, `is the same secret as ${first}`);
      return { principal, secret, decision: DECISIONS[list], place: `${file}:${placeOf(pointer).line}` };
    }),
  );
}
