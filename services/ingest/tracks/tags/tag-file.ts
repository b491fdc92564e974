import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { digest } from '#shared/contracts/names.ts'
import { tagFlac } from './flac.ts'
import { tagM4a } from './m4a.ts'
import { tagMp3 } from './mp3.ts'
import { cannotTag, type Retagged } from './retagged.ts'
import { namedTags, type Tags } from './tags.ts'

/** A file that can be read by byte range. */
export interface ServedFile {
  readonly bytes: number
  /** Reads the bytes [start, end). */
  read(start: number, end: number): Promise<Readable>
}

const TAGGERS: Readonly<Record<string, (first: Buffer, tags: Tags) => Retagged>> = {
  m4a: tagM4a,
  mp3: tagMp3,
  flac: tagFlac,
}

/** Number of bytes read at first, which contain the whole head of any .m4a up to ten minutes. */
const FIRST_BYTES = 128 * 1024
/** Maximum size of a head, which is held in memory, bytes. The head of a day of audio has 16 MB. */
const MAX_HEAD_BYTES = 32 * 1024 * 1024
/** Version of the format. Raise it when the same tags are written in another way, so that the ETag changes. */
const FORMAT = 1

/** Checks whether files of this kind can have tags. @throws HttpError NOT_TAGGABLE */
export function checkTaggable(extension: string): void {
  if (Object.hasOwn(TAGGERS, extension)) return
  throw cannotTag(`it is a .${extension}; those that do are ${Object.keys(TAGGERS).join(', ')}`)
}

/** Changes with the tags, so it can be part of an ETag. */
export function tagsDigest(tags: Tags): string {
  return digest([FORMAT, tags.title, tags.artist, [...namedTags(tags)]])
}

/**
 * The file with tags: a new head, and the same audio, which is read while it is sent.
 * @throws HttpError NOT_TAGGABLE when the file does not have the structure of its extension
 */
export async function tagged(
  file: ServedFile,
  extension: string,
  tags: Tags,
): Promise<ServedFile> {
  const { head, replaces } = await retag(file, extension, tags)
  return {
    bytes: file.bytes - replaces + head.length,
    async read(start, end) {
      const fromHead = head.subarray(start, end)
      const inFile = (at: number) => Math.max(0, at - head.length) + replaces
      if (end <= head.length) return Readable.from([fromHead], { objectMode: false })
      // Opened before the first byte is sent, so that a missing file can still be answered with 404.
      const rest = await file.read(inFile(start), inFile(end))
      return fromHead.length === 0 ? rest : after(fromHead, rest)
    },
  }
}

async function retag(file: ServedFile, extension: string, tags: Tags) {
  checkTaggable(extension)
  for (let wanted = FIRST_BYTES; ; ) {
    const first = await buffer(await file.read(0, Math.min(wanted, file.bytes)))
    const made = TAGGERS[extension]?.(first, tags) ?? { needs: Number.POSITIVE_INFINITY }
    if (!('needs' in made)) return made
    if (made.needs > file.bytes) throw cannotTag('its head is cut short')
    if (made.needs > MAX_HEAD_BYTES) throw cannotTag('its head is too large')
    wanted = Math.max(made.needs, wanted)
  }
}

function after(head: Buffer, rest: Readable): Readable {
  async function* both(): AsyncGenerator<Buffer> {
    yield head
    yield* rest
  }
  const stream = Readable.from(both(), { objectMode: false })
  // If the client disconnects before the generator has started, the generator's own clean-up does not run.
  return stream.once('close', () => rest.destroy())
}
