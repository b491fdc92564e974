import type { Readable } from 'node:stream'
import { abandon } from '../../async/abandon.ts'
import { afterStoreError, isDenied } from '../../contracts/errors/store.ts'
import type { ObjectName } from '../../contracts/names.ts'
import type { StoreDriver } from '../../store/driver/driver.ts'
import { type Operation, silence, type Upstream } from './breaker.ts'
import { longestMs, WriteSilence } from './silence.ts'

/** A store that does not answer for this long has failed, ms. A step has 13 s in all. */
const SILENT_MS = 10_000
/** `readInto` reads in pieces of this many bytes. */
const PIECE_BYTES = 1 << 20
/** The name of an object that never exists, for probes. */
const ABSENT = 'probe' as ObjectName

interface WatchedOptions {
  /** An operation without an answer for this long has failed, ms. Default: 10,000. */
  readonly silentMs?: number | undefined
  /** Whether the upstream stands for several stores. If so, a denial by one of them does not take the upstream down. */
  readonly isOneOfMany?: boolean
}

/**
 * Wraps a store so that its faults are reported to the upstream. An operation without an answer for too long fails: an
 * NFS server that is gone never answers, and no file operation can be aborted.
 */
export function watched(
  driver: StoreDriver,
  upstream: Upstream,
  { silentMs = SILENT_MS, isOneOfMany = false }: WatchedOptions = {},
): StoreDriver {
  const probe = (signal: AbortSignal) => driver.stat(ABSENT, { signal })
  const tryWriting = (signal: AbortSignal) => driver.probe?.({ signal }) ?? probe(signal)
  const operation = (kind: 'inspect' | 'read' | 'write', signal?: AbortSignal) => ({
    kind,
    signal,
    limitMs: silentMs,
    isExpected: (error: unknown) => isExpected(error) || (isOneOfMany && isRefusal(error)),
    probe: kind === 'write' ? tryWriting : probe,
  })

  return {
    ...driver,
    stat(name, options) {
      const act = () => driver.stat(name, options)
      return upstream.call(act, operation('inspect', options?.signal))
    },
    async read(name, options) {
      // Opening proves little: a read has succeeded when its end has come.
      const opening = operation('inspect', options?.signal)
      const reading = operation('read', options?.signal)
      let isLate = false
      const act = async () => {
        const stream = watchedStream(await driver.read(name, options), upstream, reading)
        // The caller has already got an error.
        if (isLate) stream.destroy()
        return stream
      }
      try {
        return await upstream.call(act, opening)
      } catch (error) {
        isLate = true
        throw error
      }
    },
    ...(driver.readInto && {
      async readInto(name, target, options) {
        const reading = operation('read', options.signal)
        // In pieces, so that a slow store is not mistaken for a silent one.
        for (let at = 0; at < target.length; at += PIECE_BYTES) {
          const piece = target.subarray(at, at + PIECE_BYTES)
          const start = options.start + at
          const act = async () => driver.readInto?.(name, piece, { ...options, start })
          const limitMs = longestMs(piece.length, silentMs)
          await upstream.call(act, { ...reading, limitMs })
        }
      },
    }),
    async create(name, body, options) {
      const { limitMs: _, ...writing } = operation('write', options.signal)
      const silence = new WriteSilence(silentMs)
      const act = () => driver.create(name, silence.watch(body), options)
      try {
        return await upstream.call(() => Promise.race([act(), silence.tooLong]), writing)
      } finally {
        silence.end()
      }
    },
    remove(name) {
      return upstream.call(() => driver.remove(name), operation('write'))
    },
    async *list(prefix, options) {
      const found = driver.list(prefix, options)[Symbol.asyncIterator]()
      try {
        for (;;) {
          const act = () => found.next()
          const next = await upstream.call(act, operation('inspect', options?.signal))
          if (next.done) return
          yield next.value
        }
      } finally {
        abandon(found)
      }
    },
    // Without a time limit, because there may be many objects. Permission to create does not imply that to remove.
    removeAll(prefix) {
      const { limitMs: _, ...removing } = operation('write')
      const mayNot = (error: unknown) => isExpected(error) || isDenied(error)
      return upstream.call(() => driver.removeAll(prefix), { ...removing, isExpected: mayNot })
    },
  }
}

/** Whether an error is an answer of a store that works. */
function isExpected(error: unknown): boolean {
  return afterStoreError(error) === 'answer'
}

/** Whether access is denied, or the bucket does not exist. That lasts until a setting is changed. */
function isRefusal(error: unknown): boolean {
  return afterStoreError(error) === 'setting'
}

/** Makes a stream fail when it has been asked for bytes and does not deliver any for too long. */
function watchedStream(
  stream: Readable,
  upstream: Upstream,
  reading: Operation & { readonly limitMs: number },
): Readable {
  const { push, _read } = stream
  const { limitMs } = reading
  let timer: NodeJS.Timeout | undefined
  let asked: number | undefined
  stream._read = (size) => {
    asked = performance.now()
    clearTimeout(timer)
    timer = setTimeout(() => stream.destroy(silence('a read', limitMs)), limitMs)
    _read.call(stream, size)
  }
  stream.push = (chunk) => {
    asked = undefined
    clearTimeout(timer)
    if (chunk === null) upstream.succeeded(reading)
    return push.call(stream, chunk)
  }
  stream.once('error', (error) => upstream.failed(error, reading, asked))
  stream.once('close', () => clearTimeout(timer))
  return stream
}
