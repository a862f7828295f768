import { createHash } from 'node:crypto';
import { dirname } from 'node:path';
import { readConfigFile } from './config_file.js';
import { displayPath } from './display_path.js';
import { checkLaunch, type LaunchConfig, secretsPlace, type SecretsPlace } from './launch_config.js';
import { ConfigError, type ConfigProblem } from './problems.js';
import type { Report } from './schema.js';
import { checkSecrets, type Registries } from './secrets_config.js';
import { escapePointer, parseYaml } from './yaml_document.js';

export interface Configuration extends LaunchConfig {
  readonly registries: Registries;
  /** SHA-256 of both files, in hexadecimal. */
  readonly digest: string;
  readonly loadedAt: Date;
}

/**
 * Reads the launch file and the secrets file that it names. Throws a ConfigError with every problem of both: what is
 * right is used as a whole or not at all.
 */
export function loadConfiguration(launchFile: string): Configuration {
  const problems: ConfigProblem[] = [];
  const hash = createHash('sha256');

  const launchData = readYaml(launchFile, undefined);
  const folder = dirname(launchFile);
  const launch = launchData && checkLaunch(launchData.data, folder, launchData.report);
  const place = launchData && secretsPlace(launchData.data, folder);
  const registries = place && readSecrets(place);
  if (launch === undefined || registries === undefined || problems.length > 0) {
    throw new ConfigError(inReadingOrder(problems));
  }
  return { ...launch, registries, digest: hash.digest('hex'), loadedAt: new Date() };

  function readSecrets({ file, section }: SecretsPlace): Registries | undefined {
    const document = readYaml(file, section);
    if (document === undefined) return undefined;
    if (section === undefined) return checkSecrets(document.data, '', document.report);
    const { data } = document;
    if (typeof data !== 'object' || data === null || !Object.hasOwn(data, section)) {
      document.report(`/${escapePointer(section)}`, 'is missing: the launch file names it as secrets_section');
      return undefined;
    }
    return checkSecrets((data as Record<string, unknown>)[section], `/${escapePointer(section)}`, document.report);
  }

  function readYaml(file: string, section: string | undefined): { data: unknown; report: Report } | undefined {
    const read = readConfigFile(file);
    if ('problem' in read) {
      problems.push({ file, path: '', message: read.problem });
      return undefined;
    }
    hash.update(`${read.bytes.length}\n`).update(read.bytes);
    const document = parseYaml(read.text, section);
    const report: Report = (pointer, message) => {
      const { line, column } = document.placeOf(pointer);
      problems.push({ file, line, column, path: displayPath(document.data, pointer), message });
    };
    for (const { pointer, place, message } of document.problems) {
      problems.push({ file, ...place, path: displayPath(document.data, pointer), message });
    }
    return document.data === undefined ? undefined : { data: document.data, report };
  }
}

/** The launch file's first, as it was read first; then by place. */
function inReadingOrder(problems: readonly ConfigProblem[]): ConfigProblem[] {
  const files = [...new Set(problems.map(({ file }) => file))];
  const order = (problem: ConfigProblem): number[] => [
    files.indexOf(problem.file),
    problem.line ?? 0,
    problem.column ?? 0,
  ];
  return problems.toSorted((a, b) => {
    const [left, right] = [order(a), order(b)];
    const differs = left.findIndex((part, index) => part !== right[index]);
    return (left[differs] ?? 0) - (right[differs] ?? 0);
  });
}
