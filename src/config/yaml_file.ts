import { readConfigFile } from './config_file.js';
import type { ConfigProblem } from './problems.js';
import type { Report } from './schema.js';
import { parseYaml, type Place } from './yaml_document.js';

export interface YamlFile {
  readonly bytes: Buffer;
  readonly data: unknown;
  /** Tells a problem with what stands at a pointer. */
  readonly report: Report;
  readonly placeOf: (pointer: string, at?: 'key') => Place;
}

/**
 * A configuration file as plain data. Whatever is wrong with it is told; undefined when it has no data to look at.
 * `showPath` makes the key path of a problem.
 */
export function readYamlFile(
  file: string,
  showPath: (data: unknown, pointer: string) => string,
  tell: (problem: ConfigProblem) => void,
  section?: string,
): YamlFile | undefined {
  const read = readConfigFile(file);
  if ('problems' in read) {
    for (const message of read.problems) tell({ file, path: '', message });
    return undefined;
  }
  const { data, problems, placeOf, isUnread } = parseYaml(read.text, section);
  for (const { pointer, place, message } of problems) {
    tell({ file, ...place, path: showPath(data, pointer), message });
  }
  if (data === undefined) return undefined;
  return {
    bytes: read.bytes,
    data,
    report: (pointer, message, at) => {
      // What could not be read has been told already.
      if (isUnread(pointer)) return;
      tell({ file, ...placeOf(pointer, at), path: showPath(data, pointer), message });
    },
    placeOf,
  };
}
