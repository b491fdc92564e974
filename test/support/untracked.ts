/**
 * Loaded before a test file by test/run.ts. tap follows each promise, so that it knows to which subtest an error belongs
 * that nobody catches, and that takes up to four tenths of the core time of a file. Without it such an error counts
 * all the same, as one of the subtest that runs, or of the file.
 */
import hooks from 'node:async_hooks'
import { syncBuiltinESMExports } from 'node:module'

const { createHook } = hooks
Object.assign(hooks, {
  createHook(callbacks: hooks.HookCallbacks): hooks.AsyncHook {
    const none: hooks.AsyncHook = { enable: () => none, disable: () => none }
    const isOfTap = new Error().stack?.includes('/async-hook-domain/')
    return isOfTap ? none : createHook(callbacks)
  },
})
syncBuiltinESMExports()
