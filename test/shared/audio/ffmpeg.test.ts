import { execFile } from 'node:child_process'
import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { BOUNDED_FFMPEG } from '#shared/audio/bounded.ts'
import { convert, encodeAac } from '#shared/audio/ffmpeg.ts'
import { flac, wav } from '../../support/audio.ts'
import { noise } from '../../support/synth.ts'

const second = Buffer.from(Int16Array.from(noise(88_200), (x) => x * 32_000).buffer)

/** Seconds of noise, at the pace of the reader. */
async function* seconds(n: number): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < n; i++) yield second
}

/** ffmpegs that this process has started and that are still there. */
async function children(): Promise<string[]> {
  const { stdout } = await promisify(execFile)('ps', [
    '--ppid',
    `${process.pid}`,
    '-o',
    'comm=',
  ])
  return stdout.split('\n').filter((name) => name.includes('ffmpeg'))
}

const feed = {
  demuxer: 's16le',
  rate: 44_100,
  channels: 2,
  mix: [
    [1, 0],
    [0, 1],
  ],
  skip: 0,
  maxSeconds: 3600,
} as const

t.test('an abort kills ffmpeg and waits for its end', async (t) => {
  for (const afterBytes of [0, 10_000]) {
    const abort = new AbortController()
    let bytes = 0
    const work = (async () => {
      if (afterBytes === 0) setTimeout(() => abort.abort(), 1)
      for await (const piece of encodeAac(seconds(10_000), 128_000, abort.signal)) {
        bytes += piece.length
        if (bytes > afterBytes) abort.abort()
      }
    })()
    await t.rejects(work, { name: 'AbortError' })
    t.same(await children(), [])
  }
  const gone = encodeAac(seconds(1), 128_000, AbortSignal.abort(new Error('too late')))
  await t.rejects(gone.next(), { message: 'too late' })
})

t.test('an abort does not wait for an input that has nothing to say', async (t) => {
  const abort = new AbortController()
  async function* stuck(): AsyncGenerator<Uint8Array> {
    yield second
    await new Promise((_, reject) => {
      abort.signal.addEventListener('abort', () => reject(abort.signal.reason))
    })
  }
  setTimeout(() => abort.abort(), 300)
  await t.rejects(drain(convert(stuck(), feed, abort.signal)), { name: 'AbortError' })
  t.same(await children(), [])
})

t.test('a consumer that stops leaves no ffmpeg behind', async (t) => {
  for await (const piece of encodeAac(seconds(10_000), 128_000, new AbortController().signal)) {
    t.ok(piece.length > 0)
    break
  }
  t.same(await children(), [])
})

t.test('the error of an input that fails is the one that is reported', async (t) => {
  async function* failing(): AsyncGenerator<Uint8Array> {
    yield second
    throw new Error('the store is down')
  }
  const made = convert(failing(), feed, new AbortController().signal)
  await t.rejects(drain(made), { name: 'Error', message: 'the store is down' })
  t.same(await children(), [])
})

t.test('an ffmpeg that is killed is no verdict on the master', async (t) => {
  async function* slow(): AsyncGenerator<Uint8Array> {
    yield await flac(wav([noise(44_100)]))
    const { stdout } = await promisify(execFile)('ps', [
      '--ppid',
      `${process.pid}`,
      '-o',
      'pid=,comm=',
    ])
    const pid = Number.parseInt(
      stdout.split('\n').find((line) => line.includes('ffmpeg')) ?? '',
      10,
    )
    process.kill(pid, 'SIGKILL')
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  const killed = convert(
    slow(),
    { ...feed, demuxer: 'flac', decoder: 'flac' },
    new AbortController().signal,
  )
  await t.rejects(drain(killed), { name: 'Error', message: /killed with signal SIGKILL/ })
})

t.test(
  'a stream that is no FLAC is a verdict, in our words and with those of ffmpeg as its cause',
  async (t) => {
    const made = convert(
      seconds(3),
      { ...feed, demuxer: 'flac', decoder: 'flac' },
      new AbortController().signal,
    )
    await t.rejects(drain(made), {
      name: 'PermanentError',
      code: 'MASTER_UNREADABLE',
      message: /^a stream of FLAC: it can not be decoded to its end/,
      cause: { message: /^ffmpeg exited with code \d+ \((?!.*@ 0x)./ },
    })
  },
)

t.test('a playlist in the place of samples opens nothing', async (t) => {
  async function* playlist(): AsyncGenerator<Uint8Array> {
    yield Buffer.from('#EXTM3U\n#EXTINF:1\nfile:///etc/passwd\n'.repeat(100))
  }
  const made = convert(
    playlist(),
    { ...feed, demuxer: 'flac', decoder: 'flac' },
    new AbortController().signal,
  )
  await t.rejects(drain(made), { code: 'MASTER_UNREADABLE' })
})

t.test('ffmpeg has limits that no input can talk it out of', async (t) => {
  // A program of the same name reports its limits and its arguments.
  const said = '#!/bin/sh\nfor limit in c f d t; do ulimit -$limit; done; printf "%s|" "$@"\n'
  const path = t.testdir({ ffmpeg: said })
  await chmod(join(path, 'ffmpeg'), 0o755)
  const args = ['$(id)', '; id', '-i', 'concat:a|b']
  const { stdout } = await promisify(execFile)(BOUNDED_FFMPEG, args, { env: { PATH: path } })
  t.equal(stdout, `0\n0\n524288\n600\n${args.join('|')}|`)
})

t.test('without ffmpeg the error says so', async (t) => {
  const script = `
    const { encodeAac } = await import('#shared/audio/ffmpeg.ts')
    async function* none() {}
    try { for await (const _ of encodeAac(none(), 128000, new AbortController().signal)); }
    catch (error) { console.log(error.name, error.message) }`
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath,
    ['--input-type=module', '-e', script],
    { env: { PATH: '/nowhere' }, cwd: new URL('../../..', import.meta.url) },
  )
  t.equal(stdout.trim(), 'Error ffmpeg is not installed, or not on the PATH')
  t.equal(stderr, '')
})

async function drain(pieces: AsyncIterable<Uint8Array>): Promise<number> {
  let bytes = 0
  for await (const piece of pieces) bytes += piece.length
  return bytes
}
