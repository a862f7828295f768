/** The rule for secret, store and policy names and for principals: 1 to 128 characters of this shape. */
export const IDENTIFIER_PATTERN = '^[a-z][a-z0-9_]{0,127}$';

const identifier = new RegExp(IDENTIFIER_PATTERN);

export function isIdentifier(text: string): boolean {
  return identifier.test(text);
}
