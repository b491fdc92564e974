/** Sets the clock of this process by so many ms until the next call; what is monotonic goes on as it did. */
export function setClock(byMs: number): void {
  jumped = byMs
}

const real = Date.now
let jumped = 0

Date.now = () => real() + jumped
