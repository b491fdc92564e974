import { EventEmitter } from 'node:events'
import { defineDerivative } from '#shared/assets/definition.ts'

/** A plug-in with an emitter that nobody listens to. */
export default defineDerivative({
  id: 'emits',
  version: 1,
  stage: 'encode',
  title: 'Emits an error, for tests',
  files: { txt: 'text/plain' },
  cost: { fixedMs: 1, msPerSecond: 1 },
  render: () =>
    new Promise<never>(() => {
      const emitter = new EventEmitter()
      setImmediate(() => emitter.emit('error', new Error('this plug-in emits an error')))
    }),
})
