import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { judgeKey, judgeTempo } from '../../../tools/bench/accuracy/measures.ts'
import { readTruth, TruthError } from '../../../tools/bench/accuracy/truth.ts'
import { wav } from '../../support/audio.ts'
import { band, type Channel, cadence, gained, mixed, noise, RATE } from '../../support/synth.ts'

const SECONDS = 24
const folder = await mkdtemp(join(tmpdir(), 'accuracy-test-'))
t.teardown(() => rm(folder, { recursive: true }))

const n = SECONDS * RATE

/** Drums at a tempo under chords in a key. */
function tune(bpm: number, pitchClass: number, scale: 'major' | 'minor', samples = n): Channel {
  return mixed(gained(0.4, band(samples, bpm)), cadence(samples, pitchClass, scale))
}

/** Of which the key is wrong by the table. */
const WRONG = 'free\tA minor\t100\tclub-wrong.wav\t24'
const BROKEN = 'this is no audio, whatever its name says'

function file(sound: Channel): Buffer {
  return wav([sound, sound])
}

async function accuracy(...args: readonly string[]) {
  const program = fileURLToPath(
    new URL('../../../tools/bench/accuracy/accuracy.ts', import.meta.url),
  )
  const child = spawn(process.execPath, [program, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const code = new Promise<number | null>((resolve) => child.on('close', resolve))
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  return { stdout, stderr, code: await code }
}

t.test('files are judged by a table whose columns come in any order', async (t) => {
  // Played at 48 kHz it is faster and higher by 48/44.1.
  const slower = 44.1 / 48
  const samples = SECONDS * 48_000
  const staged = tune(120 * slower, 9 + 12 * Math.log2(slower), 'minor', samples)
  const masters = {
    'club-right.wav': file(tune(120, 1, 'major')),
    'club-staged.wav': wav([staged], { rate: 48_000, bits: 24 }),
    'club-wrong.wav': file(tune(125, 0, 'major')),
    'noise.wav': file(noise(n, { seed: 5, amplitude: 0.3 })),
    'broken.wav': Buffer.from(BROKEN),
  }
  for (const [name, master] of Object.entries(masters)) {
    await writeFile(join(folder, name), master)
  }
  const rows = [
    'licence\tkey\tbpm\tfile\tseconds',
    'free\tC# major\t120\tclub-right.wav\t24',
    'free\tA minor\t240.0\tclub-staged.wav\t24',
    WRONG,
    'free\t-\t-\tnoise.wav\t24',
    'free\tE minor\t90\tbroken.wav\t-',
    'free\t-\t90\tgone.wav\t-',
  ]
  await writeFile(join(folder, 'truth.tsv'), `${rows.join('\n')}\n`)

  const { stdout, stderr, code } = await accuracy(folder, '--json')
  t.equal(stderr, '')
  t.equal(code, 0)
  t.equal(stdout.trim().split('\n').length, 1)
  const { files, summary } = JSON.parse(stdout)
  t.match(files, [
    {
      ...{ file: 'club-right.wav', kind: 'club', seconds: 24, key: 'Db major', camelot: '3B' },
      truth: { bpm: 120, key: 'C# major' },
      verdict: {
        tempo: { accuracy1: true, accuracy2: true, within1Percent: true, within01: true },
        key: { relation: 'exact', score: 1 },
      },
    },
    {
      ...{ file: 'club-staged.wav', seconds: 24, key: 'A minor', tuningHz: /^4(39|40|41)/ },
      verdict: { tempo: { accuracy1: false, accuracy2: true, within01Octave: true } },
    },
    {
      file: 'club-wrong.wav',
      verdict: { tempo: { accuracy2: false }, key: { relation: 'relative', score: 0.3 } },
    },
    {
      ...{ file: 'noise.wav', kind: null, bpm: null, key: null, keyReason: 'no tones' },
      verdict: { tempo: null, key: null },
    },
    {
      ...{ file: 'broken.wav', seconds: null, bpm: null, key: null, error: /looks like text/ },
      verdict: { tempo: { accuracy2: false }, key: { relation: 'none', score: 0 } },
    },
    { file: 'gone.wav', error: 'no such file', verdict: { tempo: { accuracy1: false } } },
  ])
  t.match(summary, {
    ...{ files: 6, unreadable: 2 },
    tempo: {
      accuracy1: { ratio: 1 / 5, missed: 4, of: 5 },
      accuracy2: { ratio: 2 / 5, missed: 3, of: 5 },
    },
    key: {
      weighted: 2.3 / 4,
      exact: { missed: 2, of: 4 },
      relations: { none: 1, relative: 1 },
    },
    kinds: { club: { files: 3, key: { weighted: 2.3 / 3 } } },
    audioMinutes: (4 * SECONDS) / 60,
  })
  t.same(Object.keys(summary.kinds), ['club'])
  t.ok(summary.coreSecondsPerMinute > 0)
  for (const { bands } of [summary.tempoConfidence, summary.keyConfidence]) {
    const counted = bands.reduce((sum: number, { of }: { of: number }) => sum + of, 0)
    t.ok(counted === 5 || counted === 4, 'each judged file is in one band')
  }
})

t.test('without --json it is printed for people', async (t) => {
  const own = join(folder, 'printed')
  await mkdir(own)
  await writeFile(join(own, 'club-wrong.wav'), file(tune(125, 0, 'major', 10 * RATE)))
  await writeFile(join(own, 'broken.wav'), BROKEN)
  const rows = ['licence\tkey\tbpm\tfile\tseconds', WRONG, 'free\tE minor\t90\tbroken.wav\t-']
  await writeFile(join(own, 'truth.tsv'), `${rows.join('\n')}\n`)
  const printed = await accuracy(own)
  t.equal(printed.code, 0)
  t.match(printed.stdout, /^club-wrong\.wav .*\bMISS\b.*\brelative$/m)
  t.match(printed.stdout, /^broken\.wav +unreadable: /m)
  t.match(printed.stdout, /Accuracy2 \.000 \(2 of 2 missed\)/)
  t.match(printed.stdout, /^club: 1 files?/m)
})

t.test('other programs are measured on the same files', async (t) => {
  const own = join(folder, 'peers')
  await mkdir(own)
  await writeFile(join(own, 'a.wav'), file(tune(120, 2, 'minor', 10 * RATE)))
  await writeFile(join(own, 'truth.tsv'), 'file\tseconds\tbpm\tkey\na.wav\t10\t120\tD minor\n')
  const { peers } = JSON.parse((await accuracy(own, '--json', '--peers')).stdout)
  const names = peers.map(({ name }: { name: string }) => name)
  t.ok(names.includes('essentia RhythmExtractor2013 degara'), names.join())
  for (const { name, coreSecondsPerMinute, failed } of peers) {
    t.ok(coreSecondsPerMinute > 0, `${name} took some time`)
    t.equal(failed, 0, `${name} said something`)
  }
})

t.test('a wrong command line is reported in one line', async (t) => {
  const bad = join(folder, 'bad')
  await mkdir(bad)
  await t.resolveMatch(accuracy(), { code: 2, stderr: /^usage: .*DIR/ })
  await t.resolveMatch(accuracy(bad, '--faster'), { code: 2, stderr: /--faster/ })
  await t.resolveMatch(accuracy(bad), { code: 2, stderr: /truth\.tsv can't be read/ })
  await writeFile(join(bad, 'truth.tsv'), 'file\tseconds\tbpm\tkey\na.wav\t3\tfast\t-\n')
  const { code, stdout, stderr } = await accuracy(bad, '--json')
  t.match({ code, stdout }, { code: 2, stdout: '' })
  t.match(stderr, /^truth\.tsv, line 2: bpm "fast" is neither - nor a number above 0\n$/)
})

t.test('the table accepts any spelling of a key, and names what it refuses', (t) => {
  const keys = ['Db minor', 'C# minor', 'c#m', 'B## major', 'E♭ major', 'F:min', 'A min']
  const rows = (key: string) => readTruth(`file\tseconds\tbpm\tkey\na.wav\t3\t-\t${key}\r\n\n`)
  t.match(
    keys.map((key) => {
      try {
        return rows(key)[0]?.key
      } catch (error) {
        return (error as Error).message
      }
    }),
    [
      { pitchClass: 1, scale: 'minor' },
      { pitchClass: 1, scale: 'minor' },
      /line 2: key "c#m"/,
      { pitchClass: 1, scale: 'major' },
      { pitchClass: 3, scale: 'major' },
      { pitchClass: 5, scale: 'minor' },
      { pitchClass: 9, scale: 'minor' },
    ],
  )
  for (const [table, said] of [
    ['file\tseconds\tbpm\tkey\na\t1\t-\t-\na\t1\t-\t-', /line 3: a is there twice/],
    ['file\tseconds\tbpm\tkey\n\t1\t-\t-', /line 2: no file/],
    ['file\tseconds\tbpm\tkey\na\t1\t-120\t-', /line 2: bpm "-120"/],
    ['file\tseconds\tbpm\tkey\na\tlong\t-\t-', /line 2: seconds "long"/],
    ['', /no column "file"/],
    ['file\tseconds\tkey\n', /no column "bpm"/],
  ] as const) {
    t.throws(() => readTruth(table), { constructor: TruthError, message: said })
  }
  t.end()
})

t.test('a tempo is right within 4 %, or within 4 % of its multiples', (t) => {
  const hits = (estimate: number | null) =>
    Object.entries(judgeTempo(estimate, 120)).flatMap(([name, hit]) => (hit ? name : []))
  const octave = ['within01Octave']
  t.same(hits(120.05), ['accuracy1', 'accuracy2', 'within1Percent', 'within01', ...octave])
  t.same(hits(121), ['accuracy1', 'accuracy2', 'within1Percent'])
  t.same(hits(124), ['accuracy1', 'accuracy2'])
  t.same(hits(60.04), ['accuracy2', ...octave])
  t.same(hits(240.3), ['accuracy2'])
  t.same(hits(40), ['accuracy2'])
  t.same(hits(360), ['accuracy2'])
  t.same(hits(90), [])
  t.same(hits(null), [])
  t.end()
})

t.test('a key is judged by its relation to the true one', (t) => {
  const relation = (tonic: string | null, scale: 'major' | 'minor' | null) => [
    judgeKey({ tonic, scale }, { name: 'A minor', pitchClass: 9, scale: 'minor' }),
    judgeKey({ tonic, scale }, { name: 'C major', pitchClass: 0, scale: 'major' }),
  ]
  t.same(relation('A', 'minor'), ['exact', 'relative'])
  t.same(relation('C', 'major'), ['relative', 'exact'])
  t.same(relation('E', 'minor'), ['fifth', 'other'])
  t.same(relation('D', 'minor'), ['fifth', 'other'])
  t.same(relation('F', 'major'), ['other', 'fifth'])
  t.same(relation('A', 'major'), ['parallel', 'other'])
  t.same(relation('C', 'minor'), ['other', 'parallel'])
  t.same(relation(null, null), ['none', 'none'])
  t.end()
})
