/** A tempo or key that is less likely than this is shown with a mark, and is not recommended. */
export const LIKELY = 0.5
