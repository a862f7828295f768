/** The longest that a timer of Node waits: with more it does not wait at all. */
export const MAX_TIMER_MS = 2_147_483_647;
