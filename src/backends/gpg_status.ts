/** How a line of gpg's status begins: the first one of all, and each later one. */
interface Status {
  readonly first: Buffer;
  readonly later: Buffer;
}

const GOODMDC = status('GOODMDC\n');
const PLAINTEXT = status('PLAINTEXT ');
const NEED_PASSPHRASE_SYM = status('NEED_PASSPHRASE_SYM ');
const DECRYPTION_FAILED = status('DECRYPTION_FAILED\n');
const NODATA = status('NODATA ');

function status(text: string): Status {
  const first = Buffer.from(`[GNUPG:] ${text}`);
  return { first, later: Buffer.concat([Buffer.from('\n'), first]) };
}

/**
 * Whether gpg, with `--status-fd=3`, says that it has decrypted and that what it gave is as it was encrypted. It succeeds as
 * well with what is not encrypted at all, which a damaged entry can look like.
 */
export function saysDecrypted(said: Buffer): boolean {
  return saysStatus(said, GOODMDC);
}

/** Whether gpg says that it has given something, decrypted or not. */
export function saysPlaintext(said: Buffer): boolean {
  return saysStatus(said, PLAINTEXT);
}

/** Whether gpg says that a passphrase decrypts, which may be beside keys. */
export function saysPassphrase(said: Buffer): boolean {
  return saysStatus(said, NEED_PASSPHRASE_SYM);
}

/** Whether gpg says that what it was given is damaged, or no message of OpenPGP. */
export function saysDamaged(said: Buffer): boolean {
  return saysStatus(said, DECRYPTION_FAILED) || saysStatus(said, NODATA);
}

/** The ids of the keys that gpg says an entry is encrypted to, of 16 upper-case hexadecimal digits. */
export function recipientsIn(said: Buffer): ReadonlySet<string> {
  const lines = said.toString('latin1').matchAll(/^\[GNUPG:\] ENC_TO ([0-9A-F]{16}) /gm);
  return new Set([...lines].map(([, keyId]) => keyId as string));
}

/** Whether gpg or gopass say on stderr that there is no agent to ask. */
export function saysNoAgent(stderr: Buffer): boolean {
  const texts = ["can't connect to the agent", 'no gpg-agent running', 'No agent running'];
  return texts.some((text) => stderr.includes(text));
}

/** At the beginning of a line only: what comes from an entry or a key can be in the middle of one. */
function saysStatus(said: Buffer, { first, later }: Status): boolean {
  return said.subarray(0, first.length).equals(first) || said.includes(later);
}
