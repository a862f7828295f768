/** Says what is going on. */
export type Progress = (what: string) => void;

/** On a terminal one line that is written anew, elsewhere a line each. */
export function progressOn(stream: NodeJS.WriteStream): Progress & { readonly done: () => void } {
  const begun = performance.now();
  const line = (what: string): string => `${((performance.now() - begun) / 1_000).toFixed(0).padStart(4)} s  ${what}`;
  let shown = '';
  const show = (what: string): void => {
    if (what === shown) return;
    shown = what;
    stream.write(stream.isTTY ? `\r\x1b[K${line(what).slice(0, stream.columns - 1)}` : `${line(what)}\n`);
  };
  return Object.assign(show, {
    done() {
      if (stream.isTTY) stream.write('\r\x1b[K');
    },
  });
}
