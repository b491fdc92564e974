import { defineDerivative } from '#shared/assets/definition.ts'

/** A plug-in that throws in a timer what throws whenever it is looked at. */
export default defineDerivative({
  id: 'traps',
  version: 1,
  stage: 'analyze',
  title: 'Throws what throws, for tests',
  files: { txt: 'text/plain' },
  cost: { fixedMs: 1, msPerSecond: 1 },
  render: () =>
    new Promise<never>(() => {
      const spring = (): never => {
        throw new Error('this plug-in sets traps')
      }
      const trap = new Proxy({}, { get: spring, has: spring, getPrototypeOf: spring })
      setTimeout(() => {
        throw trap
      }, 50)
    }),
})
