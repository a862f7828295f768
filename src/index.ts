/** The library: the same pipeline that the daemon serves. */
export { type GetSecretOptions, SecretsApi, type SecretsApiOptions } from './api.js';
export { ConfigError, type ConfigProblem } from './config/problems.js';
export { type ErrorCode, type Reason, SecretsError } from './domain/errors.js';
export type { Principal, RuntimeIdentity } from './domain/identity.js';
export { Registry } from './domain/registry.js';
export type { SecretPolicy, SecretRef, SecretStore } from './domain/secrets.js';
export type { Limits } from './limits.js';
