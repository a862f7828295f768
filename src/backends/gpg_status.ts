/** How a line of gpg's status begins: the first one of all, and each later one. */
interface Status {
  readonly first: Buffer;
  readonly later: Buffer;
}

const GOODMDC = status('GOODMDC\n');
const PLAINTEXT = status('PLAINTEXT ');
const NEED_PASSPHRASE_SYM = status('NEED_PASSPHRASE_SYM ');

function status(text: string): Status {
  const first = Buffer.from(`[GNUPG:] ${text}`);
  return { first, later: Buffer.concat([Buffer.from('\n'), first]) };
}

/**
 * Whether gpg, with `--status-fd=2`, says that it has decrypted and that what it gave is as it was encrypted. It succeeds as
 * well with what is not encrypted at all, which a damaged entry can look like.
 */
export function saysDecrypted(stderr: Buffer): boolean {
  return saysStatus(stderr, GOODMDC);
}

/** Whether gpg says that it has given something, decrypted or not. */
export function saysPlaintext(stderr: Buffer): boolean {
  return saysStatus(stderr, PLAINTEXT);
}

/** Whether gpg says that a passphrase decrypts, which may be beside keys. */
export function saysPassphrase(stderr: Buffer): boolean {
  return saysStatus(stderr, NEED_PASSPHRASE_SYM);
}

/** Whether gpg or gopass say that there is no agent to ask. */
export function saysNoAgent(stderr: Buffer): boolean {
  const texts = ["can't connect to the agent", 'no gpg-agent running', 'No agent running'];
  return texts.some((text) => stderr.includes(text));
}

/** At the beginning of a line only: what comes from an entry or a key can be in the middle of one. */
function saysStatus(stderr: Buffer, { first, later }: Status): boolean {
  return stderr.subarray(0, first.length).equals(first) || stderr.includes(later);
}
