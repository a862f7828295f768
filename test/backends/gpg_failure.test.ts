import t from 'tap';
import { gpgFailure } from '../../src/backends/gpg_failure.js';
import { createGopassStore } from '../support/gopass_store.js';
import { realGpg } from '../support/real_component.js';
import { temporaryFolder } from '../support/temporary.js';

const { skip } = realGpg();

const ONLY_BY_PASSPHRASE = '[GNUPG:] NEED_PASSPHRASE_SYM 9 3 2\ngpg: problem with the agent: No pinentry\n';

/** Code and reason of what gpg said, or nothing. */
async function told(stderr: string, env: Readonly<Record<string, string>>): Promise<string | undefined> {
  const answer = await gpgFailure(Buffer.from(stderr), { env }, AbortSignal.timeout(30_000));
  return answer && `${answer.code}/${answer.reason}`;
}

t.test('what gpg says tells the failure, without a look at any key', async (t) => {
  const env = { PATH: temporaryFolder(t) };
  for (const [stderr, expected] of [
    ["gpg: can't connect to the agent: IPC connect call failed", 'backend_unavailable/agent_unreachable'],
    ['gpg: no gpg-agent running in this session', 'backend_unavailable/agent_unreachable'],
    ['gpg: decryption failed: No agent running', 'backend_unavailable/agent_unreachable'],
    ['[GNUPG:] NODATA 3', 'backend_failed/decrypt_failed'],
    ['[GNUPG:] BADMDC\n[GNUPG:] DECRYPTION_FAILED', 'backend_failed/decrypt_failed'],
    ['Error: failed to decrypt', 'backend_failed/decrypt_failed'],
    ['Decryption failed', 'backend_failed/decrypt_failed'],
    [ONLY_BY_PASSPHRASE, 'backend_failed/passphrase_entry'],
    ['gpg: decryption failed: No secret key', 'backend_unavailable/binary_missing'], // no gpg to ask for keys
    ['something else', undefined],
    ['', undefined],
  ] as const) {
    t.equal(await told(stderr, env), expected, stderr);
  }
});

t.test('no secret key is a locked one, an absent one or a damaged entry: the keys tell', { skip }, async (t) => {
  const user = createGopassStore(t, { initialise: false });
  const protectedKey = user.createKey('protected', 'pass phrase');
  user.lock();
  const [open, locked] = [user.key, protectedKey].map((key) => user.recipientsOf(user.encrypt('x', key))[0]!);
  const saying = (...keyIds: string[]): string =>
    `${keyIds.map((keyId) => `[GNUPG:] ENC_TO ${keyId} 18 0\n`).join('')}gpg: decryption failed: No secret key\n`;
  for (const [stderr, expected] of [
    [saying(locked!), 'backend_locked/key_locked'],
    [saying(open!), 'backend_failed/decrypt_failed'],
    [saying(locked!, open!), 'backend_failed/decrypt_failed'],
    [saying('0123456789ABCDEF'), 'backend_failed/key_missing'],
    [saying('0000000000000000'), 'backend_failed/decrypt_failed'],
    [`${saying('0123456789ABCDEF')}${ONLY_BY_PASSPHRASE}`, 'backend_failed/key_missing'],
    [`${saying(locked!)}gpg: No pinentry`, 'backend_locked/key_locked'],
  ] as const) {
    t.equal(await told(stderr, user.environment), expected, stderr);
  }
});
