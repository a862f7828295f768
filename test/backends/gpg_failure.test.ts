import t from 'tap';
import { gpgFailure } from '../../src/backends/gpg_failure.js';
import { createGopassStore } from '../support/gopass_store.js';
import { realGpg } from '../support/real_component.js';
import { temporaryFolder } from '../support/temporary.js';

const { skip } = realGpg();

const BY_PASSPHRASE = '[GNUPG:] NEED_PASSPHRASE_SYM 9 3 2\n';
const NO_PINENTRY = 'gpg: problem with the agent: No pinentry\n';
const NO_KEY = 'gpg: decryption failed: No secret key\n';

/** Code and reason of what gpg said, or nothing. */
async function told(
  stderr: string,
  status: string,
  env: Readonly<Record<string, string>>,
): Promise<string | undefined> {
  const said = { stderr: Buffer.from(stderr), status: Buffer.from(status) };
  const answer = await gpgFailure(said, { env }, AbortSignal.timeout(30_000));
  return answer && `${answer.code}/${answer.reason}`;
}

t.test('what gpg says tells the failure, without a look at any key', async (t) => {
  const env = { PATH: temporaryFolder(t) };
  for (const [stderr, status, expected] of [
    ["gpg: can't connect to the agent: IPC connect call failed", '', 'backend_unavailable/agent_unreachable'],
    ['gpg: no gpg-agent running in this session', '', 'backend_unavailable/agent_unreachable'],
    ['gpg: decryption failed: No agent running', '', 'backend_unavailable/agent_unreachable'],
    ['', '[GNUPG:] NODATA 3\n', 'backend_failed/decrypt_failed'],
    ['', '[GNUPG:] BADMDC\n[GNUPG:] DECRYPTION_FAILED\n', 'backend_failed/decrypt_failed'],
    ['Error: failed to decrypt', '', 'backend_failed/decrypt_failed'],
    ['Decryption failed', '', 'backend_failed/decrypt_failed'],
    [NO_PINENTRY, BY_PASSPHRASE, 'backend_failed/passphrase_entry'],
    [NO_KEY, '', 'backend_unavailable/binary_missing'], // no gpg to ask for keys
    ['[GNUPG:] NODATA 3\n', '', undefined], // whoever said that, it was not gpg
    ['gpg: Fatal: status-fd is invalid: Bad file descriptor', '', 'backend_unavailable/other_program'],
    ['something else', '', undefined],
    ['', '', undefined],
  ] as const) {
    t.equal(await told(stderr, status, env), expected, stderr + status);
  }
});

t.test('no secret key is a locked one, an absent one or a damaged entry: the keys tell', { skip }, async (t) => {
  const user = createGopassStore(t, { initialise: false });
  const protectedKey = user.createKey('protected', 'pass phrase');
  user.lock();
  const [open, locked] = [user.key, protectedKey].map((key) => user.recipientsOf(user.encrypt('x', key))[0]!);
  const to = (...keyIds: string[]): string => keyIds.map((keyId) => `[GNUPG:] ENC_TO ${keyId} 18 0\n`).join('');
  for (const [stderr, status, expected] of [
    [NO_KEY, to(locked!), 'backend_locked/key_locked'],
    [NO_KEY, to(open!), 'backend_failed/decrypt_failed'],
    [NO_KEY, to(locked!, open!), 'backend_failed/decrypt_failed'],
    [NO_KEY, to('0123456789ABCDEF'), 'backend_failed/key_missing'],
    [NO_KEY, to('0000000000000000'), 'backend_failed/decrypt_failed'],
    [NO_PINENTRY, to('0123456789ABCDEF') + BY_PASSPHRASE, 'backend_failed/key_missing'],
    [NO_PINENTRY, to(locked!), 'backend_locked/key_locked'],
  ] as const) {
    t.equal(await told(stderr, status, user.environment), expected, stderr + status);
  }
});
