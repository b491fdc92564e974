import { openAsBlob } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Campaign, CampaignPage } from '#shared/contracts/api/campaign.ts'
import { CAMPAIGN_ID_PATTERN } from '#shared/contracts/names.ts'
import { ask, json, Refused } from '../../../client/client.ts'
import {
  apiAt,
  authorization,
  explained,
  TARGET_HELP,
  type Target,
  targetOf,
} from '../../../client/target.ts'
import { drawBars } from '../../../terminal/bars.ts'
import { interruptible } from '../../../terminal/interrupt.ts'
import { type Output, TERMINAL } from '../../../terminal/output.ts'
import { printable, printableJson } from '../../../terminal/text.ts'
import { count, parsed, pathFrom, UsageError } from '../../../terminal/usage.ts'
import { budgetIn, CREATE_FLAGS, FLAGS, numberIn, SET_FLAGS, sourceFrom } from './flags.ts'
import { barText, listText, reportText, wholeText } from './print.ts'

const HELP = `npx trackchain campaign COMMAND: long lists of tracks, worked off beside everything else.

  create SOURCE          a campaign of the tracks of one of these:
    --manifest FILE      a file here (.ndjson, .csv), which is sent, or a URI within the prefixes of the masters
    --stale A,B          tracks that have one of these assets in an older version alone
    --lacks A,B          tracks that lack one of these assets
    --filter NAME=VALUE  tracks that match; names as of the query of GET /v1/tracks; may be repeated
    --failed-of ID       the failed items of another campaign
    --name TEXT          for people
    --assets A,B         what is made of tracks that do not say (all; of a question what is stale or missing)
    --start              runs as soon as its list is complete
  list                   the campaigns, the latest first (--limit N)
  show ID                one of them
  start ID               runs a draft
  watch ID               follows it until it is done, cancelled or paused
  pause ID, resume ID    withdraws what is in the queue; goes on with it (--reason TEXT)
  cancel ID              the same for good; resume makes it go on all the same
  set ID                 changes --name, --weight, --rate and the budget under way
  forecast ID            really runs 200 of its items, and says what all of them cost
  report ID              what it has cost, beside the forecast
  retry-failed ID        a new campaign over its failed items, which starts at once

  --weight N             create, set: its part beside the other campaigns (1)
  --rate N               create, set: items a minute at most; set: none for no limit
  --budget-usd N, --budget-core-seconds N
                         create, set: pauses when it has spent that much (forecast's sample included); set: none

${TARGET_HELP}
                         (scopes: read to look, operate to change)
  --json                 one JSON document on stdout; of watch one a line
  --help                 show this help

  npx trackchain campaign create --stale bpm --name 'bpm@3' --start
  npx trackchain campaign watch campaign-0mbwd2k5h0q3x

Exit codes: 0 success; 1 it was refused, the API does not answer, or watch has seen items fail; 2 usage;
130 interrupted.
`

const MOVES = ['start', 'pause', 'resume', 'cancel']
const COMMANDS: Readonly<Record<string, Command>> = {
  ...{ create, list, show, watch, set, forecast, report, 'retry-failed': retryFailed },
  ...Object.fromEntries(MOVES.map((move) => [move, moving(move)])),
}
type Command = (args: readonly string[], output: Output) => Promise<number>

/** @returns the exit code. @throws UsageError; Error when the API does not answer. */
export async function campaign(
  [name = '', ...args]: readonly string[],
  output: Output = TERMINAL,
): Promise<number> {
  const isHelp = ['', 'help', '--help', '-h'].includes(name)
  if (isHelp || args.some((arg) => ['--help', '-h'].includes(arg))) {
    output.say(HELP)
    return 0
  }
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (command === undefined) {
    const there = Object.keys(COMMANDS).join(', ')
    throw new UsageError(`There is no command ${name}; there are ${there}. --help tells more.`)
  }
  try {
    return await command(args, output)
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    output.note(printable(error.message))
    return 1
  }
}

async function create(args: readonly string[], { say }: Output): Promise<number> {
  const { values } = parsed(args, CREATE_FLAGS)
  const { source, file } = sourceFrom(values)
  const target = targetOf(values)
  const weight = numberIn('weight', values.weight)
  const rate = numberIn('rate', values.rate)
  const budget = budgetIn(values)
  const assets = values.assets?.split(',')
  const settings = {
    ...(weight === undefined ? {} : { weight }),
    ...(rate === undefined ? {} : { rate }),
  }
  if (file === undefined) {
    const wish = {
      ...{ name: values.name ?? 'from the command line', ...source, ...settings },
      ...(assets && { derivative_assets: assets }),
      ...(values.start && { start: true }),
      ...(budget && { budget }),
    }
    return print(await apiAt(target)<Campaign>('/v1/campaigns', wish), values.json, say)
  }
  const query = new URLSearchParams({
    name: values.name ?? file,
    ...(assets && { derivative_assets: assets.join() }),
    ...(values.start && { start: '1' }),
    ...Object.fromEntries(Object.entries(settings).map(([key, value]) => [key, `${value}`])),
  })
  const type = /\.csv$/i.test(file) ? 'text/csv' : 'application/x-ndjson'
  const sent = await sending(target, `/v1/campaigns?${query}`, {
    ...{ method: 'POST', type, body: await blobOf(file) },
  })
  return print(budget ? await changed(target, sent.id, { budget }) : sent, values.json, say)
}

async function list(args: readonly string[], { say, note }: Output): Promise<number> {
  const { values } = parsed(args, { ...FLAGS, limit: { type: 'string' } })
  const limit = count('limit', values.limit, 1000) ?? 20
  const page = await apiAt(targetOf(values))<CampaignPage>(`/v1/campaigns?limit=${limit}`)
  if (values.json) say(printableJson(page))
  else if (page.campaigns.length === 0) say('No campaigns.')
  else say(listText(page.campaigns))
  if (page.next !== null && !values.json) note('There are more: --limit shows up to 1000.')
  return 0
}

async function show(args: readonly string[], { say }: Output): Promise<number> {
  const { values, positionals } = parsed(args, FLAGS, true)
  const found = await apiAt(targetOf(values))<Campaign>(`/v1/campaigns/${idIn(positionals)}`)
  say(values.json ? printableJson(found) : wholeText(found))
  return 0
}

function moving(move: string): Command {
  return async (args, { say }) => {
    const { values, positionals } = parsed(args, { ...FLAGS, reason: { type: 'string' } }, true)
    const body = values.reason === undefined ? {} : { reason: values.reason }
    const path = `/v1/campaigns/${idIn(positionals)}/${move}`
    return print(await apiAt(targetOf(values))<Campaign>(path, body), values.json, say)
  }
}

async function set(args: readonly string[], { say }: Output): Promise<number> {
  const { values, positionals } = parsed(args, SET_FLAGS, true)
  const weight = numberIn('weight', values.weight)
  const rate = values.rate === 'none' ? null : numberIn('rate', values.rate)
  const budget = budgetIn(values)
  const change = {
    ...(values.name === undefined ? {} : { name: values.name }),
    ...(weight === undefined ? {} : { weight }),
    ...(rate === undefined ? {} : { rate }),
    ...(budget === undefined ? {} : { budget }),
  }
  if (Object.keys(change).length === 0)
    throw new UsageError('set takes --name, --weight, --rate or a budget.')
  return print(await changed(targetOf(values), idIn(positionals), change), values.json, say)
}

async function changed(target: Target, id: string, change: object): Promise<Campaign> {
  const init = { method: 'PATCH', type: 'application/json', body: JSON.stringify(change) }
  return await sending(target, `/v1/campaigns/${id}`, init)
}

async function report(args: readonly string[], { say }: Output): Promise<number> {
  const { values, positionals } = parsed(args, FLAGS, true)
  const found = await apiAt(targetOf(values))<Campaign>(`/v1/campaigns/${idIn(positionals)}`)
  say(values.json ? printableJson(found) : reportText(found))
  return 0
}

/** Waits for the end of the sample, and for its evaluation. */
async function forecast(args: readonly string[], output: Output): Promise<number> {
  const { values, positionals } = parsed(args, FLAGS, true)
  const path = `/v1/campaigns/${idIn(positionals)}`
  const api = apiAt(targetOf(values))
  const stop = AbortSignal.any([interruptible(() => {}), output.gone])
  let found = await api<Campaign>(`${path}/forecast`, {})
  while (found.forecast !== null && found.forecast.result === null) {
    const sample = await api<Campaign>(`/v1/campaigns/${found.forecast.sample}`)
    if (['paused', 'cancelled'].includes(sample.state)) break
    await sleep(EVERY_MS, undefined, { signal: stop }).catch(() => {})
    stop.throwIfAborted()
    found = await api<Campaign>(path)
  }
  output.say(values.json ? printableJson(found) : reportText(found))
  return found.forecast?.result ? 0 : 1
}

async function retryFailed(args: readonly string[], { say }: Output): Promise<number> {
  const { values, positionals } = parsed(args, FLAGS, true)
  const id = idIn(positionals)
  const wish = { name: `failed of ${id}`, failed_of: id, start: true }
  return print(await apiAt(targetOf(values))<Campaign>('/v1/campaigns', wish), values.json, say)
}

/** Between two looks, ms. */
const EVERY_MS = 2000
const ENDS = ['done', 'cancelled', 'paused']

async function watch(args: readonly string[], output: Output): Promise<number> {
  const { values, positionals } = parsed(args, FLAGS, true)
  const path = `/v1/campaigns/${idIn(positionals)}`
  const api = apiAt(targetOf(values))
  const stop = AbortSignal.any([interruptible(() => {}), output.gone])
  let found = await api<Campaign>(path)
  const bars = drawBars(values.json ? { ...output, screen: undefined } : output, () => [
    barText(found),
  ])
  let said = ''
  try {
    for (;;) {
      const line = values.json ? JSON.stringify(found) : barText(found)
      const isEnd = ENDS.includes(found.state)
      // On a screen the bar shows it, but for the end.
      if (line !== said && (isEnd || output.screen === undefined || values.json))
        bars.say(printable(line))
      said = line
      if (isEnd) return found.failed + found.partial + found.unreleasable === 0 ? 0 : 1
      await sleep(EVERY_MS, undefined, { signal: stop }).catch(() => {})
      stop.throwIfAborted()
      found = await api<Campaign>(path)
    }
  } finally {
    bars.end()
  }
}

function print(campaign: Campaign, isJson: boolean, say: Output['say']): number {
  say(isJson ? printableJson(campaign) : wholeText(campaign))
  return 0
}

async function sending(
  target: Target,
  path: string,
  {
    type,
    ...init
  }: { readonly method: string; readonly type: string; readonly body: Blob | string },
): Promise<Campaign> {
  const headers = { ...authorization(target), 'content-type': type }
  try {
    return json<Campaign>(await ask(target.url, path, { ...init, headers }))
  } catch (error) {
    throw explained(error, target)
  }
}

async function blobOf(file: string): Promise<Blob> {
  try {
    return await openAsBlob(pathFrom(file))
  } catch {
    throw new UsageError(`There is no file ${file}.`)
  }
}

function idIn(positionals: readonly string[]): string {
  const [id = '', ...others] = positionals
  if (others.length > 0 || !new RegExp(CAMPAIGN_ID_PATTERN).test(id))
    throw new UsageError('It takes one id, campaign-…, as create and list print it.')
  return id
}
