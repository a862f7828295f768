import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { COMMANDS } from '../../src/cli/commands.js';
import { type Ending, temporaryFolder, writeFile } from './temporary.js';

/** What is typed after `mxm-secretsd `, with all that a shell offers to go on, `--help` and `--version` aside. */
export const TYPED: Readonly<Record<string, readonly string[]>> = {
  '': [...COMMANDS.keys()],
  comp: ['completion'],
  'check --mat': ['--matrix'],
  'check --launch ': ['launch.yaml', 'launch.d/', 'completion'],
  'check --json --launch laun': ['launch.yaml', 'launch.d/'],
  'completion ': ['bash', 'zsh', 'fish'],
  'init --backend go': ['gopass'],
  'init --dir laun': ['launch.d/'],
  'get ': [],
  'exec A=b --fil': ['--file'],
  'exec A=b --file C=d -- only-her': ['only-here'],
  'exec A=b -- only-here laun': ['launch.yaml', 'launch.d/'],
};

/** A folder with the script as `completion`, some files, and a program `only-here` on the PATH. */
export function completionFolder(t: Ending, script: string): { folder: string; env: Record<string, string> } {
  const folder = temporaryFolder(t);
  writeFile(folder, 'completion', script);
  writeFile(folder, 'launch.yaml', '');
  mkdirSync(`${folder}/launch.d`);
  const programs = dirname(writeFile(temporaryFolder(t), 'only-here', '#!/bin/sh\n', 0o700));
  return { folder, env: { PATH: `${programs}:${process.env['PATH'] ?? ''}`, HOME: folder, TERM: 'dumb' } };
}
