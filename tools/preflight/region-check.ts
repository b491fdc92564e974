import { type Check, type Complaint, judged } from './check.ts'
import type { Seen } from './seen.ts'

const LOOK_MS = 1500
const REGION = /^[a-z]+-[a-z]+\d+$/

/**
 * Checks that the buckets are in the region that this runs in; outside of Google's cloud, that they are in one region.
 */
export function regionCheck({ locations }: Seen, env: NodeJS.ProcessEnv): Check {
  const name = 'region'
  return {
    name,
    remedy: '',
    async run() {
      if (locations.size === 0) return []
      const here = await regionHere(env)
      const places = new Set(locations.values())
      const listed = [...locations].map(([bucket, place]) => `${bucket} in ${place}`).join(', ')
      const complaints: Complaint[] = [...places]
        .filter((place) => !REGION.test(place))
        .map((place) => warning(`${place} is no single region: reading is billed`))
      if (places.size > 1) complaints.push(warning(`the buckets lie apart: ${listed}`))
      if (
        here !== undefined &&
        [...places].some((place) => REGION.test(place) && place !== here)
      )
        complaints.push(warning(`this runs in ${here}: ${listed}`))
      const where =
        here === undefined ? 'where this runs is unknown' : `as this runs in ${here}`
      return [judged(name, complaints, `${listed}; ${where}`)]
    },
  }
}

function warning(found: string): Complaint {
  const remedy = 'have buckets and clusters in one region: else each byte is slower and billed'
  return { state: 'warning', found, remedy }
}

/** The region of this machine in Google's cloud; undefined elsewhere. */
async function regionHere(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  if (env.METADATA_SERVER_DETECTION === 'none') return undefined
  const host = env.GCE_METADATA_HOST ?? 'metadata.google.internal'
  try {
    const answer = await fetch(`http://${host}/computeMetadata/v1/instance/zone`, {
      headers: { 'metadata-flavor': 'Google' },
      signal: AbortSignal.timeout(LOOK_MS),
    })
    // Some networks resolve any name, so the header has to confirm it.
    if (answer.headers.get('metadata-flavor') !== 'Google') return undefined
    return /\/zones\/(\S+)-[a-z]$/.exec((await answer.text()).trim())?.[1]
  } catch {
    return undefined
  }
}
