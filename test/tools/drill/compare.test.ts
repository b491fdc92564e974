import t from 'tap'
import { compare, type Outcome, type Outcomes } from '../../../tools/drill/compare.ts'
import { comparePairs } from '../../../tools/drill/external-target.ts'

const good: Outcome = {
  state: 'done',
  rows: [
    { key: 'job 1', value: '{"state":"done"}' },
    { key: 'bpm@3', value: '{"result":126}' },
  ],
  assets: [
    { key: 'assets/a/f1/bpm@3.json', value: 'digest 1' },
    { key: 'assets/a/f1/aac-128@1.m4a', value: 'digest 2' },
  ],
  published: [{ key: 'id 1', value: '{"state":"done"}' }],
  letters: [],
}
const none = { rows: 0, assets: 0, published: 0 }

function found(changed: Partial<Outcome> | undefined) {
  const b: Outcomes =
    changed === undefined ? new Map() : new Map([['b', { ...good, ...changed }]])
  return compare(both, new Map([['a', good], ...b]))
}
const both: Outcomes = new Map([
  ['a', good],
  ['b', good],
])

t.test('equal outcomes are good, in any order', async (t) => {
  const expected = { lost: 0, wrong: 0, duplicates: none, findings: [] }
  t.same(found({}), expected)
  t.same(found({ rows: good.rows.toReversed(), assets: good.assets.toReversed() }), expected)
})

t.test('a track that has not ended, or was not announced, is lost', async (t) => {
  t.match(found(undefined), {
    lost: 1,
    wrong: 0,
    findings: ['b is lost: no trace of it'],
  })
  t.match(found({ state: 'running' }), { lost: 1, findings: ['b is lost: running'] })
  t.match(found({ published: [] }), { lost: 1, wrong: 0 })
})

t.test(
  'a missing asset, another byte, a missing or other row, another end: each is wrong',
  async (t) => {
    const [bpm, aac] = good.assets
    const [job, row] = good.rows
    const changes: [Partial<Outcome>, RegExp][] = [
      [{ assets: [bpm as never] }, /^b: of its assets .*aac-128@1\.m4a is missing$/],
      [{ assets: [bpm as never, { key: aac?.key ?? '', value: 'x' }] }, /m4a is another$/],
      [{ rows: [job as never] }, /^b: of its rows bpm@3 is missing$/],
      [{ rows: [job as never, { key: row?.key ?? '', value: '{}' }] }, /bpm@3 is another$/],
      [{ published: [{ key: 'id 1', value: '{"state":"partial"}' }] }, /id 1 is another$/],
      [{ state: 'partial' }, /^b: it is partial instead of done$/],
      [{ letters: [{ key: 'GAVE_UP {}', value: '' }] }, /^b: there is a dead letter: GAVE_UP/],
    ]
    for (const [change, finding] of changes) {
      const comparison = found(change)
      t.match(
        comparison,
        { lost: 0, wrong: 1, duplicates: none, findings: [finding] },
        `${finding}`,
      )
      t.equal(comparison.findings.length, 1)
    }
  },
)

t.test('a doubled row, a file too many, a second announcement: duplicates', async (t) => {
  const row = { key: 'bpm@3', value: '{"result":126}' }
  const doubled = found({ rows: [...good.rows, row] })
  t.match(doubled, { wrong: 0, duplicates: { ...none, rows: 1 } })
  t.same(doubled.findings, ['b: of its rows bpm@3 is one too many'])
  const other = found({ rows: [{ ...row, value: '{}' }, ...good.rows] })
  t.match(other, { wrong: 0, duplicates: { ...none, rows: 1 } }, 'whatever its value')
  const file = { key: 'assets/a/f2/bpm@3.json', value: 'digest 1' }
  t.match(found({ assets: [...good.assets, file] }), { duplicates: { ...none, assets: 1 } })
  const announced = [...good.published, { key: 'id 2', value: '{"state":"done"}' }]
  t.match(found({ published: announced }), { wrong: 0, duplicates: { ...none, published: 1 } })
})

t.test('an output that was not asked for is wrong', async (t) => {
  const more = compare(both, new Map([...both, ['c', good]]))
  t.match(more, { lost: 0, wrong: 1, findings: ['c should not be there'] })
})

t.test(
  'both tracks of an unequal pair are wrong, and only those that have not ended are lost',
  async (t) => {
    const track = (guid: string) => ({ guid, requestId: '', path: '' })
    const pairs = [[track('a'), track('b')] as const]
    t.match(comparePairs(pairs, both), { lost: 0, wrong: 0, findings: [] })
    const other = { ...good, assets: good.assets.slice(1) }
    const unequal = comparePairs(pairs, new Map([...both, ['b', other]]))
    t.match(unequal, { lost: 0, wrong: 1 })
    const unended = { ...good, state: 'not ended', published: [] }
    t.match(comparePairs(pairs, new Map([...both, ['b', unended]])), { lost: 1, wrong: 0 })
    t.match(comparePairs(pairs, new Map([...both, ['a', unended]])), { lost: 1, wrong: 0 })
    const noneEnded: Outcomes = new Map([...both.keys()].map((guid) => [guid, unended]))
    t.match(comparePairs(pairs, noneEnded), { lost: 2, wrong: 0 })
  },
)
