/** The rule for secret, store and policy names and for principals: 1 to 128 characters of this shape. */
export const IDENTIFIER_PATTERN = '^[a-z][a-z0-9_]{0,127}$';

const identifier = new RegExp(IDENTIFIER_PATTERN);

/** Of what is no string, as JavaScript may bring it, the expression would look at the name: `undefined`, `null`. */
export function isIdentifier(text: unknown): boolean {
  return typeof text === 'string' && identifier.test(text);
}
