/** Minutes, seconds and tenths: `7:13.0`. */
export function clock(seconds: number): string {
  const tenths = Math.round(seconds * 10)
  const rest = ((tenths % 600) / 10).toFixed(1).padStart(4, '0')
  return `${Math.floor(tenths / 600)}:${rest}`
}
