import type { Readable } from 'node:stream'
import { abortWith } from '../../async/abort.ts'
import { isDamaged, StoreError } from '../../contracts/errors/store.ts'
import type { ReadOptions } from '../driver/driver.ts'
import { cutRange } from '../driver/range.ts'
import { pullStream } from '../driver/read-stream.ts'
import { crc32c, crc32cText } from './crc32c.ts'
import { type Pull, pull, type Wanted } from './pull.ts'
import type { Wire } from './wire.ts'

const BUFFERED_BYTES = 256 * 1024
/** A whole object of up to this many bytes is verified before it is handed out, and fetched again if it is damaged. */
const HELD_BYTES = 1 << 20
/** The maximum number of bytes by which the second reading of a range is longer on either side. */
const WIDER_BYTES = 256

/**
 * Reads the bytes [start, end) of an object and verifies them. A whole object is compared with its checksum: up to
 * 1 MiB before the first byte is handed out, a larger one before the last. Cloud Storage has no checksum of a range, so
 * a range is read twice in parallel, by requests that begin and end at different bytes, and bytes are handed out as far
 * as both readings agree.
 * @throws StoreError not-found; changed or damaged, also as the stream's error.
 */
export async function readObject(
  wire: Wire,
  object: { readonly url: string; readonly uri: string },
  generation: string | undefined,
  options: ReadOptions | undefined,
): Promise<Readable> {
  const { signal } = options ?? {}
  const { start, end } = cutRange(options, Number.MAX_SAFE_INTEGER)
  const cut = new AbortController()
  signal?.throwIfAborted()
  const release = abortWith(signal, cut)
  try {
    const wanted: Wanted = { ...object, generation, start, end }
    const first = await pull(wire, wanted, cut.signal)
    const pinned = { ...wanted, generation: first.found.generation }
    const from = isWhole(wanted, first) ? whole : agreed
    return pullStream(
      {
        next: from(wire, pinned, first, cut.signal),
        stop: () => cut.abort(new Error('the stream was closed')),
        async close() {
          release()
          cut.abort(new Error('the stream was closed'))
        },
      },
      BUFFERED_BYTES,
      signal,
    )
  } catch (error) {
    release()
    throw error
  }
}

type Next = () => Promise<Uint8Array | null>

/** Whether a pull yields a whole object whose checksum is known. */
function isWhole({ start, end }: Wanted, { found }: Pull): boolean {
  return start === 0 && end >= (found.bytes ?? 0) && found.crc32c !== undefined
}

/** Reads a whole object. The last chunk is handed out only if the checksum matches. */
function whole(wire: Wire, wanted: Wanted, first: Pull, signal: AbortSignal): Next {
  if ((first.found.bytes ?? 0) > HELD_BYTES) return verified(wanted, first)
  let held: Uint8Array[] | undefined
  async function fetched(): Promise<Uint8Array[]> {
    let current = first
    for (let attempt = 1; ; attempt++) {
      const chunks: Uint8Array[] = []
      const next = verified(wanted, current)
      try {
        for (let chunk = await next(); chunk; chunk = await next()) chunks.push(chunk)
        return chunks
      } catch (error) {
        if (!isDamaged(error)) throw error
        current.close()
        await wire.again(error, attempt, signal)
        current = await pull(wire, wanted, signal)
      }
    }
  }
  return async () => {
    held ??= await fetched()
    return held.shift() ?? null
  }
}

function verified({ uri }: Wanted, { found: { bytes, crc32c: sum }, next }: Pull): Next {
  let at = 0
  let found = 0
  return async () => {
    const chunk = await next()
    found = chunk === null ? found : crc32c(chunk, found)
    at += chunk?.length ?? 0
    if (at !== bytes || crc32cText(found) === sum) return chunk
    const words = `${uri} arrived damaged: crc32c ${crc32cText(found)}, not ${sum}`
    throw new StoreError('damaged', words)
  }
}

/** Reads the bytes on which two readings agree. Where they differ, both start again from there. */
function agreed(wire: Wire, wanted: Wanted, first: Pull, signal: AbortSignal): Next {
  let at = wanted.start
  let failures = 0
  let one: Reading | undefined = reading(first, 0)
  let other: Reading | undefined

  /** Opens a reading with other borders, so that a fault at the nth byte of an answer damages another byte here. */
  async function wider(): Promise<Reading> {
    const before = Math.min(at, some())
    const end = Math.min(wanted.end + some(), Number.MAX_SAFE_INTEGER)
    return reading(await pull(wire, { ...wanted, start: at - before, end }, signal), before)
  }

  return async () => {
    for (;;) {
      one ??= reading(await pull(wire, { ...wanted, start: at }, signal), 0)
      const end = Math.min(wanted.end, one.bytes ?? at)
      if (at >= end) break
      other ??= await wider()
      const [a, b] = await Promise.all([one.held(), other.held()])
      const length = Math.min(a.length, b.length, end - at)
      const piece = a.subarray(0, length)
      const isSame = one.bytes === other.bytes && piece.equals(b.subarray(0, length))
      if (isSame && length > 0) {
        one.took(length)
        other.took(length)
        at += length
        failures = 0
        return piece
      }
      one.close()
      other.close()
      one = undefined
      other = undefined
      const words = `${wanted.uri} arrived damaged behind byte ${at}: two readings differ`
      await wire.again(new StoreError('damaged', words), ++failures, signal)
    }
    // Read to its end, so that its connection can be reused.
    await other?.drained()
    return null
  }
}

interface Reading {
  /** The size of the whole object. */
  readonly bytes: number | undefined
  /** The bytes that have come and were not taken yet; empty after the last byte. */
  held(): Promise<Buffer>
  took(bytes: number): void
  /** Reads the rest and discards it. */
  drained(): Promise<void>
  close(): void
}

/** A reading that skips its first `pass` bytes. */
function reading(from: Pull, pass: number): Reading {
  let left = pass
  let chunk: Buffer = Buffer.alloc(0)
  return {
    bytes: from.found.bytes,
    async held() {
      while (chunk.length === 0) {
        const next = await from.next()
        if (next === null) break
        chunk = Buffer.from(next.buffer, next.byteOffset, next.length).subarray(left)
        left -= next.length - chunk.length
      }
      return chunk
    },
    took(bytes) {
      chunk = chunk.subarray(bytes)
    },
    async drained() {
      try {
        while ((await from.next()) !== null);
      } catch {
        // The bytes are not needed, so a fault does not matter.
      }
    },
    close: () => from.close(),
  }
}

function some(): number {
  return 1 + Math.floor(Math.random() * WIDER_BYTES)
}
