import { type Debugger, Session } from 'node:inspector'
import { basename } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { BLAMED, type Blamed } from './underway.ts'

/** Within so long running JavaScript is interrupted, ms, unless it is in a system call or the like. */
const PAUSE_MS = 3_000

export interface Held {
  /** In whose code it was interrupted. */
  readonly blamed: Blamed | undefined
  /** The function and the file. */
  readonly where: string
  /** Has the main thread end the process. */
  exit(code: number): void
}

/**
 * Interrupts the main thread from a worker thread, by the debugger's means, and asks it whose code it is in. It stays
 * interrupted. Undefined when that does not succeed.
 */
export async function interrupt(): Promise<Held | undefined> {
  const session = new Session()
  const paused = Promise.withResolvers<readonly Debugger.CallFrame[]>()
  try {
    session.connectToMainThread()
    session.on('Debugger.paused', ({ params }) => paused.resolve(params.callFrames))
    const files = new Map<string, string>()
    session.on('Debugger.scriptParsed', ({ params }) => files.set(params.scriptId, params.url))
    session.post('Debugger.enable')
    session.post('Debugger.pause')
    const frames = await within(paused.promise)
    const [top] = frames ?? []
    if (top === undefined) return undefined
    const evaluate = (expression: string) =>
      new Promise<unknown>((resolve) => {
        const asked = { callFrameId: top.callFrameId, expression, returnByValue: true }
        session.post('Debugger.evaluateOnCallFrame', asked, (_, answer) =>
          resolve((answer as Debugger.EvaluateOnCallFrameReturnType).result?.value),
        )
      })
    const told = await within(evaluate(`globalThis[Symbol.for('${BLAMED}')]?.()`))
    const file = basename(files.get(top.location.scriptId) ?? '')
    return {
      blamed: typeof told === 'string' ? (JSON.parse(told) ?? undefined) : undefined,
      where: `${top.functionName || 'a function'} of ${file}:${top.location.lineNumber + 1}`,
      exit: (code) => void evaluate(`globalThis.process.reallyExit(${code})`),
    }
  } catch {
    return undefined
  }
}

function within<T>(promise: Promise<T>): Promise<T | undefined> {
  return Promise.race([promise, sleep(PAUSE_MS, undefined)])
}
