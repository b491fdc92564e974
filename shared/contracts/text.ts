import { PermanentError } from './errors/chain.ts'

const strict = new TextDecoder('utf-8', { fatal: true })

/**
 * Decodes UTF-8, without a byte order mark.
 * @throws TypeError when the bytes are not UTF-8: silent replacement would change the text.
 */
export function utf8(bytes: Uint8Array): string {
  return strict.decode(bytes)
}

/** Escapes that JSON allows and no store here can hold. It may also match text that only looks like them. */
const UNFIT = /\\u(?:0000|d[89a-f])/i

/**
 * Refuses a NUL and a lone surrogate in any text of a JSON document: PostgreSQL takes neither, and encoding as UTF-8
 * replaces the second.
 * @param text The document as it was received. @param value The same document, parsed.
 * @throws PermanentError NOT_JSON with the position
 */
export function checkTexts(text: string, value: unknown, what: string): void {
  if (!UNFIT.test(text)) return
  // No recursion, because the value may be nested deeper than the stack.
  const waiting: { readonly at: string; readonly value: unknown }[] = [{ at: '', value }]
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { at, value } = next
    if (typeof value === 'string') refuseUnfit(value, at, what)
    if (typeof value !== 'object' || value === null) continue
    for (const [key, inner] of Object.entries(value)) {
      refuseUnfit(key, at, what)
      // Cut, because the pointer of a value a thousand levels deep would be longer than the document.
      const below = at.length > 200 ? at : `${at}/${key}`
      waiting.push({ at: below, value: inner })
    }
  }
}

function refuseUnfit(text: string, at: string, what: string): void {
  if (text.isWellFormed() && !text.includes('\0')) return
  const why = text.isWellFormed() ? 'a NUL (\\u0000)' : 'half of a surrogate pair'
  throw new PermanentError(
    'NOT_JSON',
    `${what}: ${at || 'the document'} has ${why} in ${JSON.stringify(text.slice(0, 80))}, which is no text that could be kept`,
    { at: at || '/' },
  )
}
