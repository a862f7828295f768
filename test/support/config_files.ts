import { ConfigError } from '../../src/config/problems.js';
import { type Configuration, loadConfiguration } from '../../src/config/load.js';
import { type Ending, temporaryFolder, writeFile } from './temporary.js';

export const LAUNCH = `identity:
  machine: bridge
  environment: dev
  role: marketdata
secrets: secrets.yaml
socket:
  path: s.sock
`;

export const SECRETS = `stores:
  red:
    backend: gopass
    root: mxm/red
refs:
  databento_api_key:
    store: red
    path: marketdata/databento/api_key
    policy: marketdata_access
policies:
  marketdata_access:
    allowed_principals: [marketdata, research]
`;

export interface ConfigFiles {
  readonly launch?: string | Buffer;
  readonly secrets?: string | Buffer;
}

export interface WrittenConfig {
  readonly folder: string;
  readonly launchFile: string;
  readonly secretsFile: string;
}

/** Both files in a folder of their own, each a good one unless it is given. */
export function writeConfig(t: Ending, { launch = LAUNCH, secrets = SECRETS }: ConfigFiles = {}): WrittenConfig {
  const folder = temporaryFolder(t);
  return {
    folder,
    launchFile: writeFile(folder, 'launch.yaml', launch),
    secretsFile: writeFile(folder, 'secrets.yaml', secrets),
  };
}

export function load(t: Ending, files?: ConfigFiles): Configuration {
  return loadConfiguration(writeConfig(t, files).launchFile);
}

/** What the daemon would print of these files, line by line and without the folder; nothing when it would start. */
export function complaints(t: Ending, files: ConfigFiles): string[] {
  const { folder, launchFile } = writeConfig(t, files);
  return complaintsOf(() => loadConfiguration(launchFile)).map((line) => line.replaceAll(`${folder}/`, ''));
}

/** The lines of the ConfigError that a call throws. */
export function complaintsOf(call: () => unknown): string[] {
  const error = configError(call);
  return error === undefined ? [] : error.message.split('\n');
}

export function configError(call: () => unknown): ConfigError | undefined {
  try {
    call();
    return undefined;
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
}

/** Collects what a check tells, as `POINTER: message`. */
export function collector(): { told: string[]; report: (pointer: string, message: string) => void } {
  const told: string[] = [];
  return { told, report: (pointer, message) => told.push(`${pointer}: ${message}`) };
}
