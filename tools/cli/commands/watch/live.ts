import { setTimeout as sleep } from 'node:timers/promises'
import type { Board } from '#shared/contracts/api/board.ts'
import type { TrackLine } from '#shared/contracts/api/track.ts'
import { sentence } from '#shared/contracts/errors/sentence.ts'
import { hasEnded } from '#shared/contracts/has-ended.ts'
import { isPassing, refusal } from '../../../client/client.ts'
import { sseEvents } from '../../../client/sse.ts'
import { authorization, type Target } from '../../../client/target.ts'
import { bar, drawBars } from '../../../terminal/bars.ts'
import { jsonLine, type Output } from '../../../terminal/output.ts'
import { trackText } from './print.ts'

const AGAIN_MS = 2_000
/** The most tracks that are shown at a time. */
const MAX_BARS = 10

/** Prints every track as it changes. Never resolves. @throws Refused; the reason of `signal` when it is aborted. */
export async function watchLive(
  target: Target,
  output: Output,
  { asJson, signal }: { readonly asJson: boolean; readonly signal: AbortSignal },
): Promise<never> {
  const running = new Map<string, TrackLine>()
  let board: Board | undefined
  const isDrawn = output.screen !== undefined
  const bars = drawBars(output, () => [
    ...[...running.values()].slice(-MAX_BARS).map(barOf),
    ...(board === undefined ? [] : [boardText(board)]),
  ])

  function onTrack(track: TrackLine): void {
    const before = running.get(track.asset_guid)
    if (hasEnded(track)) running.delete(track.asset_guid)
    else running.set(track.asset_guid, track)
    if (asJson) bars.say(jsonLine({ event: 'track', ...track }))
    else if (hasEnded(track) || (!isDrawn && before?.state !== track.state))
      bars.say(trackText(track))
  }

  function onBoard(received: Board): void {
    board = received
    if (asJson) bars.say(jsonLine({ event: 'board', ...received }))
  }

  let last: string | undefined
  try {
    for (;;) {
      try {
        for await (const { event, data, id } of stream(target, last, signal)) {
          last = id ?? last
          if (event === 'track') onTrack(JSON.parse(data))
          else if (event === 'board') onBoard(JSON.parse(data))
        }
      } catch (error) {
        if (signal.aborted || !isPassing(error)) throw error
        output.note(`The connection was lost (${sentence(error)}); trying again.`)
      }
      await sleep(AGAIN_MS, undefined, { signal })
    }
  } finally {
    bars.end()
  }
}

async function* stream(target: Target, last: string | undefined, signal: AbortSignal) {
  const resumed = last === undefined ? {} : { 'last-event-id': last }
  const headers = { ...authorization(target), ...resumed, accept: 'text/event-stream' }
  const response = await fetch(`${target.url}/v1/live`, { headers, signal })
  if (!response.ok || response.body === null) throw await refusal(response)
  yield* sseEvents(response.body.pipeThrough(new TextDecoderStream()))
}

function barOf({ asset_guid, assets }: TrackLine): string {
  const ended = assets.made.length + assets.failed.length
  const all = ended + assets.pending.length
  return bar(all === 0 ? 0 : ended / all, `${asset_guid}  ${ended} of ${all} assets`)
}

function boardText(board: Board): string {
  const { tracks, completions_per_minute, failures_last_hour, dead_letters_open } = board
  return [
    ...[`${tracks.waiting} waiting`, `${tracks.running} running`],
    `${Math.round(completions_per_minute)} assets a minute`,
    ...[`${failures_last_hour} failures in an hour`, `${dead_letters_open} dead letters`],
  ].join(', ')
}
