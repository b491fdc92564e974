import { execFile, spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { coded, flac, wav } from '../support/audio.ts'
import { withDataUrl } from '../support/masters/hostile-coded.ts'
import { noise } from '../support/synth.ts'

const CHILD = join(import.meta.dirname, '..', 'support', 'processes', 'staging-child.ts')
const ROOT = join(import.meta.dirname, '..', '..')

const CALLS =
  'open,openat,openat2,creat,unlink,unlinkat,rename,renameat,renameat2,link,linkat,symlink,symlinkat,mkdir,mkdirat,truncate,connect,bind,sendto'

/**
 * The files that any program may read when it starts: libraries, the loader, locales, the kernel's view of the
 * machine.
 */
const SYSTEM =
  /^\/(usr|lib|lib64|proc|sys|dev)\/|^\/etc\/(ld\.so|ssl\/|alternatives\/|localtime|OpenCL|vdpau|libva|ImageMagick|pulse)/
const WRITABLE = /^\/dev\/(null|tty|pts\/)|^\/proc\//

const canTrace = spawnSync('strace', ['-o', '/dev/null', 'true']).status === 0

t.test(
  'a process that stages hostile masters touches nothing but its stores, and connects to no other host',
  { skip: canTrace ? false : 'strace is not there, or may not trace' },
  async (t) => {
    const folder = await realpath(await mkdtemp(join(tmpdir(), 'trackchain-watched-')))
    t.teardown(() => rm(folder, { recursive: true }))
    const [masters, scratch, bait] = ['masters', 'scratch', 'bait'].map((each) =>
      join(folder, each),
    )
    if (masters === undefined || scratch === undefined || bait === undefined) return
    for (const path of [masters, scratch]) await mkdir(path)
    await writeFile(bait, wav([noise(100)]))
    const music = wav([noise(4410), noise(4410)])
    const m4a = await coded('a.m4a', music)
    const files: Record<string, [bytes: Buffer, verdict: string | RegExp]> = {
      'playlist.wav': [
        Buffer.from(`#EXTM3U\n#EXTINF:1,\nfile://${bait}\n`),
        'MASTER_UNREADABLE',
      ],
      'remote.wav': [Buffer.from('#EXTM3U\nhttp://192.0.2.1/a.ts\n'), 'MASTER_UNREADABLE'],
      'concat.wav': [
        Buffer.from(`ffconcat version 1.0\nfile '${bait}'\n`),
        'MASTER_UNREADABLE',
      ],
      'svg.wav': [
        Buffer.from(`<svg><image href="file://${bait}"/></svg>`),
        'MASTER_UNREADABLE',
      ],
      'elsewhere.m4a': [withDataUrl(m4a, `file://${bait}`), /^\d+ samples$/],
      'on-the-web.m4a': [withDataUrl(m4a, 'http://192.0.2.1/a.m4a'), /^\d+ samples$/],
      'concat:bait|bait.wav': [music, '4410 samples'],
      '-i bait;id>x.wav': [music, '4410 samples'],
      'sound.flac': [await flac(music), '4410 samples'],
    }
    for (const [name, [bytes]] of Object.entries(files))
      await writeFile(join(masters, name), bytes)
    const inside = Object.keys(files).map(
      (name) => `${pathToFileURL(masters)}/${encodeURIComponent(name)}`,
    )
    const outside = [
      `${pathToFileURL(bait)}`,
      `${pathToFileURL(masters)}/../bait`,
      `${pathToFileURL(masters)}/%2e%2e/bait`,
      `${pathToFileURL(masters)}/..%2fbait`,
      'http://192.0.2.1/a.wav',
      'file:///etc/passwd',
    ]
    const log = join(folder, 'trace')
    const args = [
      '-f',
      '-qq',
      '-s',
      '4096',
      '-o',
      log,
      '-e',
      `trace=${CALLS}`,
      '-e',
      'signal=none',
    ]
    const child = [
      process.execPath,
      CHILD,
      `${pathToFileURL(masters)}`,
      `${pathToFileURL(scratch)}`,
    ]
    const { stdout } = await promisify(execFile)(
      'strace',
      [...args, ...child, ...inside, ...outside],
      // Without the cache of compiled code, which is written to.
      { cwd: ROOT, env: { PATH: process.env.PATH } },
    )

    const wanted = [
      ...Object.values(files).map(([, verdict]) => verdict),
      ...outside.map(() => /^MASTER_OUT_OF_BOUNDS$/),
    ]
    t.match(stdout.trim().split('\n'), wanted)

    const own = await Promise.all([ROOT, process.execPath].map((path) => realpath(path)))
    const trace = (await readFile(log, 'utf8')).split('\n')
    const { touched, reached } = callsOf(trace)
    t.ok(touched.length > 100, `${touched.length} files were opened`)
    const strange = touched.filter(({ path, writes }) => {
      // The test runner records its processes there.
      if (path.startsWith(join(ROOT, '.tap'))) return false
      if (path.startsWith(`${masters}/`)) return writes
      if (path === scratch || path.startsWith(`${scratch}/`)) return false
      if (writes) return !WRITABLE.test(path)
      return (
        !SYSTEM.test(path) && !own.some((each) => path === each || path.startsWith(`${each}/`))
      )
    })
    t.same(strange, [])
    t.same(reached, [])
  },
)

interface Touched {
  readonly path: string
  readonly writes: boolean
}

/**
 * The paths that a trace shows as successfully opened, created, moved or removed, and the addresses that were
 * contacted.
 */
function callsOf(trace: readonly string[]): { touched: Touched[]; reached: string[] } {
  const touched: Touched[] = []
  const reached: string[] = []
  for (const line of trace) {
    const [, call = '', rest = ''] = /^\d+ +(\w+)\((.*)$/.exec(line) ?? []
    if (call === '') continue
    if (['connect', 'bind', 'sendto'].includes(call)) {
      if (/AF_INET6?/.test(rest)) reached.push(line)
      continue
    }
    if (/= -1 E[A-Z]+/.test(rest)) continue
    const isOpen = call.startsWith('open')
    const writes = !isOpen || /O_WRONLY|O_RDWR|O_CREAT|O_TRUNC/.test(rest)
    for (const [, path = ''] of rest.matchAll(/"((?:[^"\\]|\\.)*)"/g))
      touched.push({ path, writes })
  }
  return { touched, reached }
}
