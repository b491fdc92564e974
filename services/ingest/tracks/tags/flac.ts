import {
  commentBlock,
  flacBlocks,
  flacHead,
  VORBIS_COMMENT,
} from '#shared/audio/flac-blocks.ts'
import { cannotTag, type Retagged } from './retagged.ts'
import { namedTags, type Tags } from './tags.ts'

/** The head of a .flac file in which our Vorbis comments replace the existing ones. */
export function tagFlac(first: Buffer, tags: Tags): Retagged {
  const found = flacBlocks(first)
  if (found === undefined) throw cannotTag('it is no FLAC')
  if ('needs' in found) return found
  const comments = [...namedTags(tags)].map(([name, value]) => `${name.toUpperCase()}=${value}`)
  for (const name of ['artist', 'title'] as const) {
    if (tags[name] !== undefined) comments.unshift(`${name.toUpperCase()}=${tags[name]}`)
  }
  const [info, ...rest] = found.blocks.filter(({ type }) => type !== VORBIS_COMMENT)
  if (info === undefined) throw cannotTag('it has no STREAMINFO')
  return { head: flacHead([info, commentBlock(comments), ...rest]), replaces: found.end }
}
