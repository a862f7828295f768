/**
 * Whether gpg, with `--status-fd=2`, says that it has decrypted and that what it gave is as it was encrypted. It succeeds as
 * well with what is not encrypted at all, which a damaged entry can look like.
 */
export function saysDecrypted(stderr: Buffer): boolean {
  return saysStatus(stderr, 'GOODMDC\n');
}

/** Whether gpg says that it has given something, decrypted or not. */
export function saysPlaintext(stderr: Buffer): boolean {
  return saysStatus(stderr, 'PLAINTEXT ');
}

/** Whether gpg says that a passphrase decrypts, which may be beside keys. */
export function saysPassphrase(stderr: Buffer): boolean {
  return saysStatus(stderr, 'NEED_PASSPHRASE_SYM ');
}

/** Whether gpg or gopass say that there is no agent to ask. */
export function saysNoAgent(stderr: Buffer): boolean {
  const texts = ["can't connect to the agent", 'no gpg-agent running', 'No agent running'];
  return texts.some((text) => stderr.includes(text));
}

/** At the beginning of a line only: what comes from an entry or a key can be in the middle of one. */
function saysStatus(stderr: Buffer, text: string): boolean {
  const line = `[GNUPG:] ${text}`;
  return stderr.subarray(0, line.length).equals(Buffer.from(line)) || stderr.includes(`\n${line}`);
}
