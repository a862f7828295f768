import { createHash } from 'node:crypto';
import { dirname, resolve } from 'node:path';
import { auditPathProblem } from './audit_path.js';
import { displayPath } from './display_path.js';
import {
  checkLaunch,
  type CheckedLaunch,
  type LaunchConfig,
  type LaunchSurroundings,
  type SecretsPlace,
} from './launch_config.js';
import { escapePointer, isMapping } from './pointer.js';
import { ConfigError, type ConfigProblem, didYouMean, inReadingOrder } from './problems.js';
import { checkSecrets, type PathSurroundings, type Registries, secretsPath } from './secrets_config.js';
import type { Place } from './yaml_document.js';
import { readYamlFile, type YamlFile } from './yaml_file.js';

const AUDIT_FILE = '/log/audit_file';

/** What a configuration is read for. */
export interface ConfigSurroundings extends LaunchSurroundings, Partial<Pick<PathSurroundings, 'environment'>> {
  /** Whether a daemon is to run where this is read: elsewhere nothing is missed of what stands around its files. */
  readonly runsHere?: boolean;
}

export interface Configuration extends LaunchConfig {
  /** As it was named. */
  readonly launchFile: string;
  readonly registries: Registries;
  /** Where the launch file names the audit file, or would. */
  readonly auditPlace: Place;
  /** Where each policy says who may read, by its name: `FILE:LINE`. */
  readonly policyPlaces: ReadonlyMap<string, string>;
  /** SHA-256 of both files, in hexadecimal. */
  readonly digest: string;
  readonly loadedAt: Date;
}

/**
 * Reads the launch file and the secrets file that it names. Throws a ConfigError with every problem of both: what is
 * right is used as a whole or not at all.
 *
 * With the environment that the stores are to be asked in, a path that begins with `$CREDENTIALS_DIRECTORY` where that
 * is not set is a problem too: a daemon does not start on it. Without, files can be judged where they are not used.
 */
export function loadConfiguration(launchFile: string, surroundings: ConfigSurroundings = {}): Configuration {
  const problems: ConfigProblem[] = [];
  const hash = createHash('sha256');
  let placeInSecrets: (pointer: string) => string;

  function readYaml(
    file: string,
    showPath: (data: unknown, pointer: string) => string,
    section?: string,
  ): YamlFile | undefined {
    const yaml = readYamlFile(file, showPath, (problem) => problems.push(problem), section);
    if (yaml !== undefined) hash.update(`${yaml.bytes.length}\n`).update(yaml.bytes);
    return yaml;
  }

  function readLaunch(): (CheckedLaunch & Pick<Configuration, 'auditPlace'>) | undefined {
    const yaml = readYaml(launchFile, displayPath);
    if (yaml === undefined) return undefined;
    const launch = checkLaunch(yaml.data, dirname(launchFile), yaml.report, surroundings);
    const { auditFile, secrets } = launch;
    const around = { launchFile, secretsFile: secrets?.file, runsHere: surroundings.runsHere === true };
    const problem = auditFile === undefined ? null : auditPathProblem(auditFile, around);
    if (problem !== null) yaml.report(AUDIT_FILE, problem);
    return { ...launch, auditPlace: yaml.placeOf(AUDIT_FILE) };
  }

  function readSecrets({ file, section }: SecretsPlace): Registries | undefined {
    const base = section === undefined ? '' : `/${escapePointer(section)}`;
    const yaml = readYaml(file, (data, pointer) => secretsPath(data, pointer, base), section);
    if (yaml === undefined) return undefined;
    const { data, report } = yaml;
    placeInSecrets = (pointer) => `${file}:${yaml.placeOf(base + pointer).line}`;
    const paths = { folder: resolve(dirname(file)), environment: surroundings.environment };
    if (section === undefined) return checkSecrets(data, base, report, paths);
    if (isMapping(data) && Object.hasOwn(data, section)) return checkSecrets(data[section], base, report, paths);
    const keys = isMapping(data) ? Object.keys(data) : [];
    report(base, `is missing, and the launch file names it as secrets_section${didYouMean(section, keys)}`);
    return undefined;
  }

  const launch = readLaunch();
  const registries = launch?.secrets && readSecrets(launch.secrets);
  if (launch?.config === undefined || registries === undefined || problems.length > 0) {
    throw new ConfigError(inReadingOrder(problems));
  }
  const policyPlaces = new Map(
    registries.policies.names().map((name) => [name, placeInSecrets(`/policies/${name}/allowed_principals`)]),
  );
  return {
    ...launch.config,
    launchFile,
    registries,
    auditPlace: launch.auditPlace,
    policyPlaces,
    digest: hash.digest('hex'),
    loadedAt: new Date(),
  };
}
