import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { CoreTime } from '#shared/frame/telemetry/cpu-time.ts'

/** Uses the core until the process has used so much of it, ms. */
function compute(ms: number): void {
  const used = () => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1000
  }
  for (const end = used() + ms; used() < end; ) Math.random()
}

t.test('a step is charged what it computes, and not while it waits or is paused', async (t) => {
  const cores = new CoreTime()
  compute(50)
  const step = cores.begin()
  compute(100)
  await sleep(300)
  step.pause()
  compute(100)
  step.resume()
  const ms = step.end()
  step.resume()
  t.ok(ms >= 99 && ms < 200, `${ms} ms`)
  const alone = cores.begin()
  compute(100)
  t.ok(alone.end() >= 99, 'one that has ended is charged no more')
})

t.test('two steps at once share what they use: their sum is what was used', async (t) => {
  const cores = new CoreTime()
  const before = process.cpuUsage()
  const [one, two] = [cores.begin(), cores.begin()]
  compute(100)
  const first = one.end()
  compute(100)
  const second = two.end()
  const { user, system } = process.cpuUsage(before)
  const sum = (user + system) / 1000
  t.ok(first >= 49 && second > first + 99, `${first} and ${second} ms`)
  t.ok(Math.abs(first + second - sum) < 5, `${first + second} of ${sum} ms`)
})

t.test('what children have used counts once they have ended', async (t) => {
  const cores = new CoreTime()
  const step = cores.begin()
  // The shell counts, and says how much it has used.
  const child = spawn('sh', ['-c', 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; times'])
  let said = ''
  child.stdout.on('data', (chunk) => {
    said += chunk
  })
  await once(child, 'close')
  // Longer changes nothing: a child that has ended uses no more.
  await sleep(100)
  const ms = step.end()
  const [, seconds = '0'] = /^0m([\d.]+)s/.exec(said) ?? []
  t.ok(Number(seconds) > 0, said)
  t.ok(ms >= Number(seconds) * 1000 - 10, `${ms} ms; the child says ${said}`)
})
