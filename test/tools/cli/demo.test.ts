import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { demo as demoItself } from '../../../tools/cli/commands/demo.ts'
import { drill as drillItself } from '../../../tools/cli/commands/drill.ts'
import { start as startItself } from '../../../tools/cli/commands/start.ts'
import { runCli } from '../../support/processes/cli.ts'

const demo = (...args: string[]) => runCli(['demo', ...args])

t.test(
  'the demo finds the tempo and key of the track that it made, and cleans up',
  async (t) => {
    const out = join(t.testdir({}), 'out')
    const { code, stdout, stderr } = await demo('--json', '--out', out)
    t.equal(code, 0, stderr)
    const { folder, scratch, tracks } = JSON.parse(stdout)
    t.equal(folder, out)
    t.equal(tracks.length, 1)
    const [track] = tracks
    t.equal(track.state, 'done')
    t.equal(track.layout, 'FLAC 24-bit 48000 Hz 2 channels')
    t.ok(Math.abs(track.tempo.bpm - 126) <= 0.1, `${track.tempo.bpm} BPM`)
    t.equal(track.key.key, 'A minor')
    t.equal(track.key.camelot, '8A')
    t.ok(scratch.mostFiles > 0, 'scratch was used')
    t.equal(scratch.left, 0, 'and is empty again')
    t.same(readdirSync(join(out, 'club-track')).sort(), [
      ...['aac-128.m4a', 'bpm.json', 'flac.flac', 'key.json', 'loudness.json'],
      ...['mp3-128.mp3', 'mp3-320.mp3', 'preview.m4a'],
      ...['waveform.json', 'waveform.png'],
    ])
    for (const { path, bytes } of track.files) t.equal(statSync(path).size, bytes, path)
    for (const step of ['stage', 'analyze', 'encode', 'publish']) {
      t.ok(track.ms[step] > 0, `${step} took its time`)
    }
  },
)

t.test('a master that is no audio fails, with its reason and exit code 1', async (t) => {
  const folder = t.testdir({ masters: { 'not-audio.wav': 'no RIFF here', 'notes.txt': 'x' } })
  const out = join(folder, 'out')
  const { code, stdout, stderr } = await demo('--out', out, join(folder, 'masters'))
  t.equal(code, 1)
  const kept = /^Database, queue and log are in (.+)$/m.exec(stderr)?.[1] ?? 'nowhere'
  t.ok(existsSync(join(kept, 'logs', 'trackchain.log')), 'the log is kept, to see why')
  t.teardown(() => rm(kept, { recursive: true, force: true }))
  t.match(stdout, /^not-audio-[0-9a-f]{12} +failed/m)
  t.match(stdout, /MASTER_UNREADABLE: \w+/)
  t.match(stdout, /^0 of 1 done; not so: not-audio-[0-9a-f]{12} failed\.$/m)
})

t.test('a start that is refused is reported in one line, with exit code 2', async (t) => {
  const folder = t.testdir({ empty: {}, broken: { 'odd.mjs': 'export default {' } })
  const refused = (message: string | RegExp) => ({ name: 'UsageError', message })
  const there = join(folder, 'not-there.wav')
  t.match(await demo(there), { code: 2, stderr: `There is no file ${there}.\n` })
  const empty = join(folder, 'empty')
  await t.rejects(demoItself([empty]), refused(`There is no audio file in ${empty}.`))
  const broken = ['--derivatives', join(folder, 'broken')]
  const why = refused(/^.*odd\.mjs: it cannot be loaded: SyntaxError: .*$/m)
  await t.rejects(startItself(['--data', join(folder, 'data'), ...broken]), why)
  await t.rejects(drillItself(broken), why)
  await t.rejects(demoItself(['--no-such-flag']), refused(/--no-such-flag/))
  const help = await demo('--help')
  t.equal(help.code, 0)
  t.match(help.stdout, /--json/)
})

t.test('without ffmpeg the command says what to install', async (t) => {
  const folder = t.testdir({})
  const master = join(folder, 'track.wav')
  writeFileSync(master, 'RIFF')
  const { code, stderr } = await runCli(['demo', master], { PATH: folder })
  t.equal(code, 2)
  t.match(stderr, /^ffmpeg is not on the PATH\. Install it/)
  t.notOk(existsSync(join(folder, 'demo-output')))
})
