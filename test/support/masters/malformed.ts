/** A message, or a body, that breaks its contract, and how. */
interface Malformed {
  readonly what: string
  readonly body: Buffer
}

type Json = Record<string, unknown>

/** Of any kind of value some that it is not. */
const OTHERS: Readonly<Record<string, readonly unknown[]>> = {
  string: [7, null, { a: 'b' }, 'a\0b', 'a\ud800b'],
  number: ['7', null, [7]],
  boolean: ['true', null, 1],
  array: ['a', null, { 0: 'a' }],
  object: ['a', []],
}

/**
 * Every way in which a sound message can be broken by rule: bytes that are no JSON, and JSON in which one thing is
 * missing, is of another kind, or is more than there should be. `optional`: properties that may be left out, and
 * `free`: those whose contents nobody checks, each with what it lies in.
 */
export function malformed(
  sound: Json,
  { optional = [], free = [] }: { optional?: readonly string[]; free?: readonly string[] } = {},
): Malformed[] {
  const text = JSON.stringify(sound)
  const broken: Malformed[] = BYTES.map(([what, of]) => ({ what, body: Buffer.from(of(text)) }))
  for (const { path, holder, key } of placesIn(sound)) {
    if (free.some((each) => path.includes(each))) continue
    const name = String(key)
    const value = (holder as Json)[name]
    const withIt = (other: unknown, what: string) => {
      const copy = structuredClone(sound)
      const inner = path.slice(0, -1).reduce((at: Json, each) => at[each] as Json, copy)
      if (other === undefined) delete inner[name]
      else inner[name] = other
      broken.push({
        what: `${path.join('.')} ${what}`,
        body: Buffer.from(JSON.stringify(copy)),
      })
    }
    if (!Array.isArray(holder) && !optional.includes(name)) withIt(undefined, 'missing')
    for (const other of OTHERS[kindOf(value)] ?? [])
      withIt(other, `as ${JSON.stringify(other)}`)
    if (kindOf(value) === 'object' && !free.includes(name)) {
      withIt({ ...(value as Json), odd: 1 }, 'with a property more')
    }
  }
  return broken
}

const BYTES: readonly (readonly [what: string, of: (sound: string) => string | Buffer])[] = [
  ['half of it', (text) => text.slice(0, text.length / 2)],
  ['without its last byte', (text) => text.slice(0, -1)],
  ['twice', (text) => text + text],
  ['in a list', (text) => `[${text}]`],
  ['as text', (text) => JSON.stringify(text)],
  ['in UTF-16', (text) => Buffer.from(`\uFEFF${text}`, 'utf16le')],
  [
    'with a byte that is no UTF-8',
    (text) => Buffer.concat([Buffer.from(text), Buffer.of(0xff)]),
  ],
  ['with a comma too many', (text) => text.replace(/\}$/, ',}')],
  ['with a comment', (text) => `// a job\n${text}`],
  ['with a property more', (text) => text.replace(/\}$/, ',"odd":1}')],
  ['with __proto__', (text) => text.replace(/\}$/, ',"__proto__":{"run":2}}')],
  ['in single quotes', (text) => text.replaceAll('"', "'")],
  ['null', () => 'null'],
  ['a number', () => '42'],
  ['an infinite number', () => '1e999'],
  ['brackets', () => '['.repeat(100_000)],
  ['objects in objects', () => `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`],
  ['zeros', () => Buffer.alloc(100)],
]

interface Place {
  readonly path: readonly string[]
  readonly holder: unknown
  readonly key: string
}

function* placesIn(value: unknown, path: readonly string[] = []): Generator<Place> {
  if (typeof value !== 'object' || value === null) return
  for (const [key, inner] of Object.entries(value)) {
    yield { path: [...path, key], holder: value, key }
    yield* placesIn(inner, [...path, key])
  }
}

function kindOf(value: unknown): string {
  return Array.isArray(value) ? 'array' : typeof value
}
