import { createHash } from 'node:crypto';
import { dirname } from 'node:path';
import { readConfigFile } from './config_file.js';
import { displayPath } from './display_path.js';
import { checkLaunch, type LaunchConfig, type LaunchSurroundings, type SecretsPlace } from './launch_config.js';
import { escapePointer, isMapping } from './pointer.js';
import { ConfigError, type ConfigProblem, didYouMean } from './problems.js';
import type { Report } from './schema.js';
import { checkSecrets, type Registries, secretsPath } from './secrets_config.js';
import { parseYaml } from './yaml_document.js';

export interface Configuration extends LaunchConfig {
  /** As it was named. */
  readonly launchFile: string;
  readonly registries: Registries;
  /** SHA-256 of both files, in hexadecimal. */
  readonly digest: string;
  readonly loadedAt: Date;
}

/**
 * Reads the launch file and the secrets file that it names. Throws a ConfigError with every problem of both: what is
 * right is used as a whole or not at all.
 */
export function loadConfiguration(launchFile: string, surroundings?: LaunchSurroundings): Configuration {
  const problems: ConfigProblem[] = [];
  const hash = createHash('sha256');

  function readYaml(
    file: string,
    showPath: (data: unknown, pointer: string) => string,
    section?: string,
  ): { data: unknown; report: Report } | undefined {
    const read = readConfigFile(file);
    if ('problems' in read) {
      problems.push(...read.problems.map((message) => ({ file, path: '', message })));
      return undefined;
    }
    hash.update(`${read.bytes.length}\n`).update(read.bytes);
    const { data, problems: found, placeOf, isUnread } = parseYaml(read.text, section);
    for (const { pointer, place, message } of found) {
      problems.push({ file, ...place, path: showPath(data, pointer), message });
    }
    if (data === undefined) return undefined;
    return {
      data,
      report: (pointer, message, at) => {
        // What could not be read has been told already.
        if (isUnread(pointer)) return;
        problems.push({ file, ...placeOf(pointer, at), path: showPath(data, pointer), message });
      },
    };
  }

  function readSecrets({ file, section }: SecretsPlace): Registries | undefined {
    const base = section === undefined ? '' : `/${escapePointer(section)}`;
    const yaml = readYaml(file, (data, pointer) => secretsPath(data, pointer, base), section);
    if (yaml === undefined) return undefined;
    const { data, report } = yaml;
    if (section === undefined) return checkSecrets(data, base, report);
    if (isMapping(data) && Object.hasOwn(data, section)) return checkSecrets(data[section], base, report);
    const keys = isMapping(data) ? Object.keys(data) : [];
    report(base, `is missing, and the launch file names it as secrets_section${didYouMean(section, keys)}`);
    return undefined;
  }

  const launchYaml = readYaml(launchFile, displayPath);
  const launch = launchYaml && checkLaunch(launchYaml.data, dirname(launchFile), launchYaml.report, surroundings);
  const registries = launch?.secrets && readSecrets(launch.secrets);
  if (launch?.config === undefined || registries === undefined || problems.length > 0) {
    throw new ConfigError(inReadingOrder(problems));
  }
  return { ...launch.config, launchFile, registries, digest: hash.digest('hex'), loadedAt: new Date() };
}

/** The launch file's first, as it was read first; then by place. */
function inReadingOrder(problems: readonly ConfigProblem[]): ConfigProblem[] {
  const files = [...new Set(problems.map(({ file }) => file))];
  return problems.toSorted(
    (a, b) =>
      files.indexOf(a.file) - files.indexOf(b.file) ||
      (a.line ?? 0) - (b.line ?? 0) ||
      (a.column ?? 0) - (b.column ?? 0),
  );
}
