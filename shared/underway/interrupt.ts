import { type Debugger, Session } from 'node:inspector'
import { basename } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { BLAMED, type Blamed } from './underway.ts'

/** Running JavaScript is interrupted within this time, ms, unless it is in a system call or the like. */
const PAUSE_MS = 3_000

/** A main thread that is interrupted. */
export interface Held {
  /** The work whose code was interrupted; undefined if it was the code of none. */
  readonly blamed: Blamed | undefined
  /** The function, the file and the line at which it was interrupted. */
  readonly where: string
  /** Makes the main thread end the process. */
  exit(code: number): void
}

type Paused = (frames: readonly Debugger.CallFrame[]) => void

/** Interrupts the main thread from a worker thread by the debugger's protocol, and asks it which work is running. */
export class Interrupter {
  readonly #session = new Session()
  readonly #files = new Map<string, string>()
  #onPaused: Paused | undefined

  /** @throws Error when the debugger cannot connect to the main thread. */
  constructor() {
    this.#session.connectToMainThread()
    this.#session.on('Debugger.paused', ({ params }) => {
      // An interruption that comes too late is not awaited any more. The thread must not stay interrupted.
      if (this.#onPaused === undefined) this.#session.post('Debugger.resume')
      else this.#onPaused(params.callFrames)
      this.#onPaused = undefined
    })
    this.#session.on('Debugger.scriptParsed', ({ params }) =>
      this.#files.set(params.scriptId, params.url),
    )
    this.#session.post('Debugger.enable')
  }

  /** The work whose code is running, which goes on. Undefined if it cannot be interrupted or belongs to no work. */
  async sample(): Promise<Blamed | undefined> {
    const held = await this.hold()
    if (held !== undefined) this.#session.post('Debugger.resume')
    return held?.blamed
  }

  /** Interrupts the main thread, which stays interrupted. Undefined if it cannot be interrupted. */
  async hold(): Promise<Held | undefined> {
    const paused = Promise.withResolvers<readonly Debugger.CallFrame[]>()
    this.#onPaused = paused.resolve
    this.#session.post('Debugger.pause')
    const frames = await within(paused.promise)
    this.#onPaused = undefined
    const [top] = frames ?? []
    if (top === undefined) return undefined
    const answer = await within(this.#evaluate(top, `globalThis[Symbol.for('${BLAMED}')]?.()`))
    const file = basename(this.#files.get(top.location.scriptId) ?? '')
    return {
      blamed: typeof answer === 'string' ? (JSON.parse(answer) ?? undefined) : undefined,
      where: `${top.functionName || 'a function'} of ${file}:${top.location.lineNumber + 1}`,
      exit: (code) => void this.#evaluate(top, `globalThis.process.reallyExit(${code})`),
    }
  }

  /** Disconnects from the main thread, which goes on if it is interrupted. */
  end(): void {
    this.#session.disconnect()
  }

  #evaluate({ callFrameId }: Debugger.CallFrame, expression: string): Promise<unknown> {
    const { promise, resolve } = Promise.withResolvers<unknown>()
    const asked = { callFrameId, expression, returnByValue: true }
    this.#session.post('Debugger.evaluateOnCallFrame', asked, (_, answer) =>
      resolve((answer as Debugger.EvaluateOnCallFrameReturnType | undefined)?.result?.value),
    )
    return promise
  }
}

function within<T>(promise: Promise<T>): Promise<T | undefined> {
  return Promise.race([promise, sleep(PAUSE_MS, undefined)])
}
