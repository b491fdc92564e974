import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { extname } from 'node:path'
import { promisify } from 'node:util'
import { brotliCompress, gzip } from 'node:zlib'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { AUDIO_EXTENSIONS, LEFT_BY_SYSTEM } from '#shared/contracts/file-names.ts'
import { matches } from './etag.ts'

/** The page may load and run only files of its own. */
const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; " +
  "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const FOLDER = new URL('../page/', import.meta.url)
const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}

const ENCODINGS = { br: promisify(brotliCompress), gzip: promisify(gzip) } as const

/** A module for the page: the extensions of audio files, and the names of files that systems leave in folders. */
const AUDIO_FILES = Object.entries({ AUDIO_EXTENSIONS, LEFT_BY_SYSTEM })
  .map(([name, value]) => `export const ${name} = ${JSON.stringify(value)}\n`)
  .join('')

/** A file of the page, with each compressed form that a browser has asked for. */
interface Served {
  readonly type: string
  readonly etag: string
  readonly bytes: Buffer
  readonly encoded: Map<keyof typeof ENCODINGS, Promise<Buffer>>
}

/** The response to programs at `/`. */
const INDEX = {
  name: 'Trackchain',
  docs: '/docs',
  openapi: '/openapi.json',
  jobs: '/v1/jobs',
  tracks: '/v1/tracks',
  dead_letters: '/v1/dead-letters',
  derivatives: '/v1/derivatives',
  schemas: '/v1/schemas',
  errors: '/v1/errors',
  health: '/healthz',
  ready: '/readyz',
  metrics: '/metrics',
}

/**
 * Registers GET /, which sends the page to browsers and a list of addresses to programs, and GET /page/{file},
 * the files of the page.
 */
export async function pageRoutes(app: FastifyInstance): Promise<void> {
  const files = await pageFiles()
  const page = files.get('index.html') as Served
  const options = {
    config: { public: true, unlimited: true },
    schema: { hide: true },
  } as const

  app.get('/', options, async (request, reply) => {
    reply.header('vary', 'accept, accept-encoding')
    if (!request.headers.accept?.includes('text/html')) return INDEX
    return send(page, request, reply)
  })
  for (const [name, file] of files) {
    app.get(`/page/${name}`, options, (request, reply) => {
      reply.header('vary', 'accept-encoding')
      return send(file, request, reply)
    })
  }
}

async function send(file: Served, { headers }: FastifyRequest, reply: FastifyReply) {
  const { type, bytes, encoded } = file
  const taken = headers['accept-encoding'] ?? ''
  const encoding = (['br', 'gzip'] as const).find((each) =>
    new RegExp(`\\b${each}\\b(?!\\s*;\\s*q=0(?:\\.0*)?(?:,|$))`).test(`${taken}`),
  )
  // A strong ETag differs between the encodings, because their bytes differ.
  const etag = encoding === undefined ? `"${file.etag}"` : `"${file.etag}-${encoding}"`
  reply.headers({ etag, 'cache-control': 'no-cache', 'content-security-policy': CSP })
  if (matches(headers['if-none-match'], etag)) return reply.code(304).send()
  reply.type(type)
  if (encoding === undefined) return reply.send(bytes)
  let made = encoded.get(encoding)
  if (made === undefined) {
    made = ENCODINGS[encoding](bytes)
    encoded.set(encoding, made)
  }
  return reply.header('content-encoding', encoding).send(await made)
}

async function pageFiles(): Promise<ReadonlyMap<string, Served>> {
  const names = (await readdir(FOLDER, { recursive: true })).filter(
    (name) => extname(name) in TYPES,
  )
  const read = await Promise.all(
    names.map(async (name) => [name, await readFile(new URL(name, FOLDER))] as const),
  )
  const vendor = new URL(import.meta.resolve('htm/preact/standalone'))
  const bytes = new Map<string, Buffer>([...read, ['lib/vendor.js', await readFile(vendor)]])
  bytes.set('lib/audio-files.js', Buffer.from(AUDIO_FILES))
  const page = bytes.get('index.html')?.toString() ?? ''
  // Modules import each other. Without preload links a browser would discover the last module only after it has
  // read all others.
  const modules = [...bytes.keys()].filter(
    (name) => name.endsWith('.js') && name !== 'theme.js',
  )
  const links = modules.map((name) => `<link rel="modulepreload" href="/page/${name}" />`)
  bytes.set('index.html', Buffer.from(page.replace('</head>', `${links.join('')}</head>`)))
  return new Map([...bytes].map(([name, content]) => [name, served(name, content)]))
}

function served(name: string, bytes: Buffer): Served {
  const etag = createHash('sha256').update(bytes).digest('base64url').slice(0, 22)
  return { type: TYPES[extname(name)] as string, etag, bytes, encoded: new Map() }
}
