import { Type } from 'typebox'
import { LaneName } from '../lane-name.ts'
import { defineMessage, type MessageOf } from '../message.ts'
import { GIVEN_GUID_PATTERN, TEXT_PATTERN } from '../names.ts'
import { TenantName } from '../tenants.ts'
import { FILE_NAME, TRACK_NAME } from '../track-name.ts'
import { RequestId, WholeNumber } from './ids.ts'

function trackName(description: string) {
  return Type.String({
    ...TRACK_NAME,
    description: `${description} The latest that was given counts; an empty one takes it away.`,
  })
}

/** Beatport's published contract (JSON Schema draft-06), unchanged, plus optional extensions of ours: all after `derivative_assets`. */
export const EncodeJob = defineMessage(
  'encode-job@1',
  {
    request_id: Type.Optional(
      RequestId(
        'Names the request: a UUID, or any other text without control characters. Minted when absent.',
      ),
    ),
    release_id: Type.Optional(WholeNumber('The release the track is on.')),
    asset_id: Type.Optional(
      WholeNumber(
        "The master's number at its supplier. Names the track, as id-{asset_id}, where there is no asset_guid.",
      ),
    ),
    asset_guid: Type.Optional(
      Type.String({
        pattern: GIVEN_GUID_PATTERN,
        description: 'Names the track. Braces around a GUID are taken off.',
      }),
    ),
    derivative_assets: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 64 }), {
        uniqueItems: true,
        minItems: 1,
        maxItems: 100,
        description:
          'The ids of the derivative assets to make. All available ones when absent.',
      }),
    ),
    master_uri: Type.Optional(
      Type.String({
        maxLength: 2048,
        pattern: TEXT_PATTERN,
        description:
          'Where the master is, within the configured prefixes: gs://… or file:///…; or the upload:… that an upload returned',
      }),
    ),
    site: Type.Optional(
      Type.String({ maxLength: 64, description: 'The route to take, e.g. onprem-a.' }),
    ),
    lane: Type.Optional(
      LaneName(
        'How soon: `urgent` goes before all others, `new` is the default, `backfill` takes what is left.',
      ),
    ),
    tenant: Type.Optional(
      TenantName(
        'On whose account it is made. Over HTTP the token decides, and the job may only say the same.',
      ),
    ),
    strict: Type.Optional(
      Type.Boolean({
        description: 'Whether a master that has warnings is refused (code STRICT).',
      }),
    ),
    title: Type.Optional(
      trackName('What the track is called: goes into the tags of downloads.'),
    ),
    artist: Type.Optional(trackName('Whose it is: goes into the tags of downloads.')),
    file_name: Type.Optional(
      Type.String({
        ...FILE_NAME,
        description:
          'What the file of the master was called: `Artist - Title.wav` names the track where neither the job nor the tags of the file do.',
      }),
    ),
  },
  { code: 'NOT_AN_ENCODE_JOB', schema: { title: 'EncodeJob' } },
)
export type EncodeJob = MessageOf<typeof EncodeJob>
