import { utimes } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { JobId, ObjectName } from '#shared/contracts/names.ts'
import { scratchName } from '#shared/contracts/names.ts'
import { sweepRuns } from '#shared/frame/sweep.ts'
import { openStore } from '#shared/store/open.ts'

t.test(
  'runs that were not written to for long are removed, whole, and no others',
  async (t) => {
    const folder = t.testdir()
    const store = openStore(`file://${folder}`)
    const write = (name: ObjectName) =>
      store.create(name, Buffer.from('x'), { contentType: 'text/plain' })
    const name = (job: string, file: string) =>
      scratchName({ route: 'cloud', job: job as JobId, run: 1, plan: 'plan' }, 'parts', file)
    const hourAgo = Date.now() / 1000 - 3600
    for (const old of [name('old', 'a'), name('old', 'b'), name('mixed', 'a')]) {
      await write(old)
      await utimes(join(folder, old), hourAgo, hourAgo)
    }
    await write(name('mixed', 'b'))
    await write(name('new', 'a'))
    await write('cloud/not-a-run' as ObjectName)

    t.equal(await sweepRuns(store, 1_800_000, new AbortController().signal), 1)
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
