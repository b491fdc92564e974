/** Shifts the clock of this process by `byMs` ms until the next call. Monotonic clocks are not affected. */
export function setClock(byMs: number): void {
  jumped = byMs
}

const real = Date.now
let jumped = 0

Date.now = () => real() + jumped
