import { parentPort, type Transferable, workerData } from 'node:worker_threads'
import type { KeyEstimate, TempoEstimate } from '#shared/assets/definition.ts'
import { ownThread } from '#shared/underway/scheduled.ts'
import { essentia } from './essentia.ts'
import { estimateKey } from './key/estimate-key.ts'
import { type Heard, Listener, LOW_RATE } from './signal/listener.ts'
import { estimateTempo, type TempoInput } from './tempo/estimate-tempo.ts'

/** The operations of an analysis worker, with the input and the output of each. */
export interface Operations {
  /** Starts a track of `input` samples, and returns the ranges of samples to send, in order. */
  listen: { input: number; output: Heard['spans'] }
  /** Takes the next samples, left and right interleaved. */
  hear: { input: Int16Array; output: undefined }
  /** Ends the track and returns what was kept of it. */
  heard: { input: undefined; output: Heard }
  tempo: { input: TempoInput; output: TempoEstimate }
  key: { input: Pick<Heard, 'spans' | 'low'>; output: KeyEstimate }
}

export type Operation = keyof Operations

export interface Question<K extends Operation = Operation> {
  readonly operation: K
  readonly input: Operations[K]['input']
}

export type Answer = { readonly output: unknown } | { readonly error: unknown }

type Handlers = {
  [K in Operation]: (input: Operations[K]['input']) => {
    output: Operations[K]['output']
    transfer?: readonly Transferable[]
  }
}

if (parentPort) serve(parentPort)
if (workerData instanceof Int32Array) workerData[0] = ownThread()

function serve(port: NonNullable<typeof parentPort>): void {
  const handlers = handlersFor()
  port.on('message', ({ operation, input }: Question) => {
    try {
      const { output, transfer } = handlers[operation](input as never)
      port.postMessage({ output } satisfies Answer, transfer)
    } catch (error) {
      // WebAssembly may throw bare numbers.
      const cause = error instanceof Error ? error : new Error(`Essentia threw ${error}`)
      port.postMessage({ error: cause } satisfies Answer)
    }
  })
}

function handlersFor(): Handlers {
  const { rhythm } = essentia()
  let listener: Listener | undefined
  const listening = () => {
    if (!listener) throw new Error('no track was begun')
    return listener
  }
  return {
    listen(samples) {
      listener = new Listener(samples)
      return { output: listener.spans }
    },
    hear(pcm) {
      listening().hear(pcm)
      return { output: undefined }
    },
    heard() {
      const heard = listening().heard()
      listener = undefined
      return { output: heard, transfer: buffersOf(heard) }
    },
    tempo: (input) => ({ output: estimateTempo(input, rhythm) }),
    key: ({ spans, low }) => ({ output: estimateKey({ spans, low, rate: LOW_RATE }) }),
  }
}

function buffersOf({ energies, low, windows }: Heard): readonly Transferable[] {
  return [...energies, low, ...windows].map(({ buffer }) => buffer as ArrayBuffer)
}
