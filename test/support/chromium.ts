import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { buffer } from 'node:stream/consumers'

interface Chromium {
  /** What `decodeAudioData` makes of a file at 44.1 kHz. @throws Error with what the browser says when it refuses. */
  decode(file: Uint8Array): Promise<Decoded>
  close(): Promise<void>
}

interface Decoded {
  /** Left and right, full scale 1. */
  readonly channels: readonly Float32Array[]
  readonly samples: number
}

/** Where Chromium is: the first on the path. */
export function chromiumPath(): string | undefined {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, 'chromium'))
    .find((path) => existsSync(path))
}

/** False where there is a Chromium; else why not, which is said aloud: give it to the test as `skip`. */
export function noChromium(t: { comment(said: string): unknown }): string | false {
  const path = chromiumPath()
  if (path !== undefined && spawnSync(path, ['--version']).status === 0) return false
  const said = 'Chromium is not installed: NOT TESTED IN A BROWSER'
  t.comment(said)
  return said
}

/** Starts a headless Chromium on a page of ours, which decodes what it is given. */
export async function startChromium(): Promise<Chromium> {
  const folder = await mkdtemp(join(tmpdir(), 'chromium-'))
  const waiting: Task[] = []
  const takers: ((task: Task) => void)[] = []
  let current: Task | undefined

  const server = createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://127.0.0.1')
    if (pathname === '/next') {
      current = waiting.shift() ?? (await new Promise<Task>((resolve) => takers.push(resolve)))
      response.end(current.file)
    } else if (pathname === '/done') {
      const body = await buffer(request)
      response.end()
      const error = searchParams.get('error')
      if (error !== null) current?.reject(new Error(`Chromium: ${error}`))
      else current?.resolve(decodedOf(body, Number(searchParams.get('channels'))))
    } else {
      response.setHeader('content-type', 'text/html')
      response.end(pathname === '/' ? PAGE : '')
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const browser = spawn(
    'chromium',
    [
      ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
      ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
      ...['--disable-dev-shm-usage', `--user-data-dir=${folder}`, `http://127.0.0.1:${port}/`],
    ],
    { stdio: 'ignore', detached: true },
  )
  const gone = once(browser, 'exit')

  return {
    decode(file) {
      return new Promise((resolve, reject) => {
        const task = { file, resolve, reject }
        const taker = takers.shift()
        if (taker === undefined) waiting.push(task)
        else taker(task)
        gone.then(() => reject(new Error('Chromium has gone')))
      })
    },
    async close() {
      // The whole group: it has many processes.
      if (browser.pid !== undefined) process.kill(-browser.pid, 'SIGKILL')
      await gone
      server.closeAllConnections()
      server.close()
      await rm(folder, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

interface Task {
  readonly file: Uint8Array
  readonly resolve: (decoded: Decoded) => void
  readonly reject: (error: Error) => void
}

function decodedOf(body: Buffer, channels: number): Decoded {
  const all = new Float32Array(Uint8Array.from(body).buffer)
  const samples = all.length / channels
  return {
    samples,
    channels: Array.from({ length: channels }, (_, c) =>
      all.subarray(c * samples, (c + 1) * samples),
    ),
  }
}

const PAGE = `<!doctype html><title>decoder</title><script type="module">
for (;;) {
  const bytes = await (await fetch('/next')).arrayBuffer()
  try {
    const audio = await new OfflineAudioContext(2, 1, 44100).decodeAudioData(bytes)
    const channels = Array.from({ length: audio.numberOfChannels }, (_, c) => audio.getChannelData(c))
    const query = new URLSearchParams({ channels: channels.length })
    await fetch('/done?' + query, { method: 'POST', body: new Blob(channels) })
  } catch (error) {
    await fetch('/done?' + new URLSearchParams({ error: String(error) }), { method: 'POST' })
  }
}
</script>`
