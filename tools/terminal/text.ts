/**
 * Text from elsewhere, for a terminal: control characters, and those that turn the direction of writing, are shown as
 * JSON writes them and do nothing. Line breaks as well, unless they are kept.
 */
export function printable(text: string, { lines = false } = {}): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) =>
    lines && character === '\n' ? character : escaped(character),
  )
}

/** A JSON document for a terminal or a file: the same value, with nothing in it that a terminal obeys. */
export function printableJson(value: unknown): string {
  return printable(JSON.stringify(value, null, 2), { lines: true })
}

function escaped(character: string): string {
  const units = Array.from({ length: character.length }, (_, at) => character.charCodeAt(at))
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('')
}
