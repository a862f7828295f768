import { type Backend, type BackendKind, failingBackend, failure } from './backend.js';
import { probeDirectory, readBounded, withContainedFile } from './contained_file.js';
import { expandStorePath, pathBelowRoot } from './store_path.js';

/** One secret a file, exactly its bytes: systemd credentials, the secret mounts of Docker and Kubernetes. */
export const fileKind: BackendKind = {
  storeKeys: {},
  fields: false,
  rootIsDirectory: true,
  checkRoot: () => null,
  checkPath: () => null,
  open(store, { environment }): Backend {
    const root = expandStorePath(store.root, store, environment);
    if (root === undefined) return failingBackend(failure('backend_unavailable', 'credentials_missing'));
    return {
      async fetch({ location, maxBytes, signal }) {
        const read = await withContainedFile(root, pathBelowRoot(location, store), signal, (file) =>
          readBounded(file, maxBytes, signal),
        );
        return Buffer.isBuffer(read) ? { ok: true, value: read } : read;
      },
      probe: () => probeDirectory(root),
    };
  },
};
