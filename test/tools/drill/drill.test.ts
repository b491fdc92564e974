import { createHash } from 'node:crypto'
import { join } from 'node:path'
import t from 'tap'
import { createLog } from '#shared/frame/telemetry/log.ts'
import { drill as drillItself } from '../../../tools/cli/commands/drill.ts'
import { anyPort } from '../../../tools/local/port.ts'
import { surroundings, until } from '../../support/chain.ts'
import { allConsumers } from '../../support/one-process.ts'
import { runCli } from '../../support/processes/cli.ts'
import { startService } from '../../support/processes/service.ts'

const DERIVATIVES = join(import.meta.dirname, '..', '..', 'support', 'derivatives')

const drill = (...args: string[]) => runCli(['drill', ...args])

t.test(
  'disturbed on a schedule, the chain loses nothing and makes nothing twice',
  async (t) => {
    const tracks = ['--tracks', '4', '--seconds', '8', '--target-ms', '200']
    // Cheap assets, some of which are cut into parts.
    const assets = ['--derivatives', DERIVATIVES, '--assets', 'echo,pieces,loudness,waveform']
    const kills = ['--kills', '6', '--every', '1', '--seed', '18']
    const { code, stdout, stderr } = await drill(...tracks, ...assets, ...kills, '--json')
    t.equal(code, 0, stderr)
    const report = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')
    t.match(report, {
      ...{ seed: 18, tracks: 4, published: 4, lost: 0, wrong: 0, findings: [] },
      duplicates: { rows: 0, assets: 0, published: 0 },
      cancels: { went_on: 0 },
      ...{ swept: 0, dead_letters: 0, left_in_queue: 0 },
      done: { kill: 6 },
    })
    t.equal(report.cancels.cancelled + report.cancels.ended, 1, 'a job was to be cancelled')
    t.ok(report.kills_at_work >= 3, `${report.kills_at_work} kills met work`)
    t.ok(report.messages_copied > 0, 'messages were published again')
    t.ok(report.processes_killed >= 6)
    t.ok(
      report.process_starts >= 7 + report.processes_killed,
      'what was killed was started again',
    )
    t.ok(report.longest_stall_seconds > 0)
    t.comment(stdout.trimEnd())
  },
)

t.test('a deployment is sent each track twice, with equal outcomes', async (t) => {
  const token = 'a-token-of-this-test'
  const digest = createHash('sha256').update(token).digest('hex')
  const around = await surroundings({ tokens: [digest] })
  const { config, bus, database, published } = around
  const only = ['stage', 'analyze', 'publish', 'events']
  const rest = await allConsumers({
    ...{ config, bus, database, only },
    log: createLog('drill', 'fatal'),
  })
  const port = await anyPort()
  const ingest = startService('ingest/main.ts', { ...config, port, drain_seconds: 0 })
  let encode = startService('encode/main.ts', config)
  t.teardown(async () => {
    for (const { child, exited } of [ingest, encode]) {
      child.kill('SIGKILL')
      await exited
    }
    await rest.close()
    await around.close()
  })
  await Promise.all([ingest.ready, encode.ready])
  const target = [
    '--target',
    `http://127.0.0.1:${port}/`,
    '--tracks',
    '2',
    '--seconds',
    '6',
    '--json',
  ]
  const assets = ['--assets', 'echo,pieces']
  // What is kept of a drill that has failed goes with the test.
  process.env.TMPDIR = t.testdir()
  await t.rejects(drillItself([...target, ...assets]), { message: /UNAUTHORIZED/ })
  delete process.env.TMPDIR
  process.env.DRILL_TOKEN = token
  t.teardown(() => delete process.env.DRILL_TOKEN)
  const killed = drill(...target, ...assets)
  await until(() => published.size > 0, 150_000)
  encode.child.kill('SIGKILL')
  encode = startService('encode/main.ts', config)
  const { code, stdout, stderr } = await killed
  t.equal(code, 0, stderr)
  t.match(JSON.parse(stdout), {
    ...{ tracks: 4, published: 4, lost: 0, wrong: 0, swept: 0, findings: [] },
    ...{ duplicates: null, process_starts: null },
  })
  t.ok(JSON.parse(stdout).mean_step_seconds.disturbed > 0, 'the histories were read')
})

t.test('a wrong flag is refused in one line, and there is help', async (t) => {
  const refused: [string[], RegExp][] = [
    [['--tracks', '0'], /^--tracks must be a whole number from 1 to 100000, got 0\.$/],
    [['--every', '0'], /^--every must be a number of seconds above 0, got 0\.$/],
    [['--also', 'term,burn'], /^--also must be a list of term, stop, copies, got burn\.$/],
    [['--target', 'example'], /^--target must be the URL of an API, got example\.$/],
    [['--audio', join(DERIVATIVES, 'none')], /^There is no file /],
  ]
  for (const [args, words] of refused)
    await t.rejects(drillItself(args), { name: 'UsageError', message: words }, args.join(' '))
  t.match(await drill('--help'), { code: 0, stdout: /--kills K/ })
})
