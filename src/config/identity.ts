import * as Type from '@sinclair/typebox';
import { displayPath } from './display_path.js';
import { check, cleanText, closedObject, identifier } from './schema.js';

export const IDENTITY_SCHEMA = closedObject(
  {
    machine: cleanText({ description: 'the machine this runs on' }),
    environment: cleanText({ description: 'the environment this runs in: dev, prod, …' }),
    role: identifier({ description: 'the principal that policies name' }),
    app: Type.Optional(cleanText({ description: 'the application this belongs to' })),
    substrate: Type.Optional(cleanText({ description: 'what this runs on: local-process, container, …' })),
  },
  { description: 'the runtime identity of this daemon' },
);

/** What is wrong with an identity as a program can bring it, by the rules and in the words of the launch file. */
export function identityProblems(identity: unknown): string[] {
  const problems: string[] = [];
  check(IDENTITY_SCHEMA, identity, '/identity', (pointer, message) => {
    problems.push(`${displayPath({ identity }, pointer)} ${message}`);
  });
  return problems;
}
