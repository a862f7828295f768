/** A uid and a gid that nobody here has. */
export const STRANGER = 54_321;

/** Root may do everything: it has to be somebody else for a while. Others are somebody else already. */
export function asStranger<T>(call: () => T): T {
  if (process.geteuid?.() !== 0) return call();
  process.seteuid?.(STRANGER);
  try {
    return call();
  } finally {
    process.seteuid?.(0);
  }
}
