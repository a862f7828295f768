import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Ending, temporaryFolder } from './temporary.js';

/** Paths of PEM files. */
export interface Certificate {
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
}

export interface CertificateWishes {
  /** Options of openssl that make the key. */
  readonly newKey?: readonly string[];
  /** As in openssl.cnf. */
  readonly extensions?: readonly string[];
  readonly caExtensions?: readonly string[];
  /** What signs in place of the CA's certificate, and comes with this one. */
  readonly signer?: Certificate;
}

const EC_KEY = ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];

/** A certificate for 127.0.0.1, by a CA that nobody else knows. */
export function createCertificate(t: Ending, wishes: CertificateWishes = {}): Certificate {
  const { newKey = EC_KEY, extensions = ['basicConstraints=critical,CA:FALSE'], caExtensions = [], signer } = wishes;
  const folder = temporaryFolder(t);
  const [caFile, caKey] = [join(folder, 'ca.pem'), join(folder, 'ca.key')];
  const [certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  const make = (out: string, key: string, extensions: readonly string[], ...rest: readonly string[]): void => {
    const added = extensions.flatMap((extension) => ['-addext', extension]);
    const options = ['-days', '2', '-newkey', ...newKey, '-nodes', '-keyout', key, '-out', out, ...added, ...rest];
    execFileSync('openssl', ['req', '-x509', ...options], { stdio: 'pipe' });
  };
  make(caFile, caKey, caExtensions, '-subj', '/CN=ca');
  const [by, byKey] = signer === undefined ? [caFile, caKey] : [signer.certFile, signer.keyFile];
  const names = ['-subj', `/CN=${randomUUID()}`, '-addext', 'subjectAltName=IP:127.0.0.1'];
  make(certFile, keyFile, extensions, '-CA', by, '-CAkey', byKey, ...names);
  if (signer !== undefined) appendFileSync(certFile, readFileSync(signer.certFile));
  return { caFile: signer?.caFile ?? caFile, certFile, keyFile };
}
