/**
 * Makes text safe for a terminal: control characters, and those that change the direction of writing, are shown as
 * JSON escapes and have no effect. Line breaks are escaped as well, except with `lines`.
 */
export function printable(text: string, { lines = false } = {}): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) =>
    lines && character === '\n' ? character : escaped(character),
  )
}

/** A JSON document for a terminal or a file: the same value, with nothing in it that a terminal interprets. */
export function printableJson(value: unknown): string {
  return printable(JSON.stringify(value, null, 2), { lines: true })
}

function escaped(character: string): string {
  const units = Array.from({ length: character.length }, (_, at) => character.charCodeAt(at))
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('')
}
