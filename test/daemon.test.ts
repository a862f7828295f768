import t from 'tap';
import { ask } from './support/http_client.js';
import { startDaemonProcess } from './support/process.js';

const SECRETS = `stores:
  demo: { backend: env, root: mxm/test }
refs:
  api_key: { store: demo, path: api-key, policy: open }
policies:
  open: { allowed_principals: [marketdata] }
`;

t.test('a secret comes over the socket, with its audit record written before', async (t) => {
  const daemon = await startDaemonProcess(t, { secrets: SECRETS, env: { MXM_TEST_API_KEY: 'value' } });
  const answer = await ask(daemon.socket, '/secrets/api_key');
  t.equal(answer.status, 200);
  t.same(answer.json, { name: 'api_key', value: 'value' });
  t.match(daemon.audit(), [{ secret: 'api_key', decision: 'allowed', outcome: 'ok' }]);
  t.same(await daemon.stop(), { status: 0, signal: null });
});
