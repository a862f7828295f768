import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { type Ending, temporaryFolder } from './temporary.js';

/** Paths of PEM files. */
export interface Certificate {
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
}

/** A certificate for a name (`IP:127.0.0.1`, `DNS:localhost`), by a CA that nobody else knows. */
export function createCertificate(t: Ending, name = 'IP:127.0.0.1'): Certificate {
  const folder = temporaryFolder(t);
  const [caFile, caKey] = [join(folder, 'ca.pem'), join(folder, 'ca.key')];
  const [certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  const make = (out: string, key: string, ...rest: readonly string[]): void => {
    const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key];
    execFileSync('openssl', ['req', '-x509', '-days', '2', ...newKey, '-out', out, ...rest], { stdio: 'pipe' });
  };
  make(caFile, caKey, '-subj', '/CN=ca');
  const usage = ['-addext', `subjectAltName=${name}`, '-addext', 'basicConstraints=critical,CA:FALSE'];
  make(certFile, keyFile, '-subj', '/CN=server', '-CA', caFile, '-CAkey', caKey, ...usage);
  return { caFile, certFile, keyFile };
}
