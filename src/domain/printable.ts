const NOT_PRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/gu;

/** The text on one line, without a character that a terminal would act upon. */
export function printable(text: string): string {
  return text.replace(NOT_PRINTABLE, '\ufffd');
}
