import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Without an option of Node, which tests are not started with. */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}
