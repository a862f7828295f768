/** How a line of gpg's status begins: the first one of all, and each later one. */
interface StatusLine {
  readonly first: Buffer;
  readonly later: Buffer;
}

const GOODMDC = line('GOODMDC\n');
const PLAINTEXT = line('PLAINTEXT ');
const NEED_PASSPHRASE_SYM = line('NEED_PASSPHRASE_SYM ');
const DECRYPTION_FAILED = line('DECRYPTION_FAILED\n');
const NODATA = line('NODATA ');

function line(text: string): StatusLine {
  const first = Buffer.from(`[GNUPG:] ${text}`);
  return { first, later: Buffer.concat([Buffer.from('\n'), first]) };
}

/**
 * Whether gpg, with `--status-fd=3`, says that it has decrypted and that what it gave is as it was encrypted. It succeeds as
 * well with what is not encrypted at all, which a damaged entry can look like.
 */
export function saysDecrypted(status: Buffer): boolean {
  return saysStatus(status, GOODMDC);
}

/** Whether gpg says that it has given something, decrypted or not. */
export function saysPlaintext(status: Buffer): boolean {
  return saysStatus(status, PLAINTEXT);
}

/** Whether gpg says that a passphrase decrypts, which may be beside keys. */
export function saysPassphrase(status: Buffer): boolean {
  return saysStatus(status, NEED_PASSPHRASE_SYM);
}

/** Whether gpg says that what it was given is damaged, or no message of OpenPGP. */
export function saysDamaged(status: Buffer): boolean {
  return saysStatus(status, DECRYPTION_FAILED) || saysStatus(status, NODATA);
}

/** The ids of the keys that gpg says an entry is encrypted to, of 16 upper-case hexadecimal digits. */
export function recipientsIn(status: Buffer): ReadonlySet<string> {
  const lines = status.toString('latin1').matchAll(/^\[GNUPG:\] ENC_TO ([0-9A-F]{16}) /gm);
  return new Set([...lines].map(([, keyId]) => keyId as string));
}

/** Whether gpg or gopass say on stderr that there is no agent to ask. */
export function saysNoAgent(stderr: Buffer): boolean {
  const texts = ["can't connect to the agent", 'no gpg-agent running', 'No agent running'];
  return texts.some((text) => stderr.includes(text));
}

/** At the beginning of a line only: what comes from an entry or a key can be in the middle of one. */
function saysStatus(status: Buffer, { first, later }: StatusLine): boolean {
  return status.subarray(0, first.length).equals(first) || status.includes(later);
}
