import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { JobId, ObjectName } from '#shared/contracts/names.ts'
import { scratchName } from '#shared/contracts/names.ts'
import { sweepRuns } from '#shared/frame/sweep.ts'
import { openStore } from '#shared/store/open.ts'

t.test(
  'runs that were not written to for long are removed, whole, and no others',
  async (t) => {
    const store = openStore(`file://${t.testdir()}`)
    const write = (name: ObjectName) =>
      store.create(name, Buffer.from('x'), { contentType: 'text/plain' })
    const name = (job: string, file: string) =>
      scratchName({ route: 'cloud', job: job as JobId, run: 1, plan: 'plan' }, 'parts', file)
    await write(name('old', 'a'))
    await write(name('old', 'b'))
    await write(name('mixed', 'a'))
    await sleep(600)
    await write(name('mixed', 'b'))
    await write(name('new', 'a'))
    await write('cloud/not-a-run' as ObjectName)

    t.equal(await sweepRuns(store, 300, new AbortController().signal), 1)
    const left: string[] = []
    for await (const { name } of store.list('')) left.push(name)
    t.same(left, [
      'cloud/mixed/1/plan/parts/a',
      'cloud/mixed/1/plan/parts/b',
      'cloud/new/1/plan/parts/a',
      'cloud/not-a-run',
    ])
  },
)
