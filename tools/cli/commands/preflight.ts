import { ConfigError } from '#shared/contracts/errors/config.ts'
import { readConfig } from '#shared/frame/config.ts'
import type { Finding } from '../../preflight/check.ts'
import { preflight as look, type PreflightOptions } from '../../preflight/run-preflight.ts'
import { SERVICES, type ServiceName } from '../../preflight/service-needs.ts'
import { table } from '../../terminal/table.ts'
import { parsed, UsageError } from '../../terminal/usage.ts'

const HELP = `trackchain preflight [FLAGS]: checks a deployment.

It reads the TRACKCHAIN_… settings of the services and checks with the identity that it runs under:
topics, subscriptions and dead letters, stores, database, ffmpeg, speed of scratch and of a core, clock.
It changes nothing, but leaves a small object preflight/probe in assets and in uploads.

  --for SERVICE  only what the identity of that service needs: ${SERVICES.join(', ')}
  --limit N      time limit of a check, seconds (10)
  --json         print one JSON document
  --help         show this help

Exit codes: 0 no faults; 1 faults; 2 usage.
`

const OPTIONS = {
  for: { type: 'string' },
  limit: { type: 'string', default: '10' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const

/** Checks a deployment. @returns the exit code. */
export async function preflight(args: readonly string[]): Promise<number> {
  const { values } = parsed(args, OPTIONS)
  if (values.help) {
    process.stdout.write(HELP)
    return 0
  }
  const service = serviceFrom(values.for)
  const findings = await findingsOf({ service, limitMs: 1000 * secondsFrom(values.limit) })
  const isSound = findings.every(({ state }) => state !== 'fault')
  const document = { service: service ?? null, sound: isSound, findings }
  const text = values.json ? JSON.stringify(document, null, 2) : forPeople(findings)
  // The process exits right after this.
  await new Promise((written) => process.stdout.write(`${text}\n`, written))
  return isSound ? 0 : 1
}

async function findingsOf(options: PreflightOptions): Promise<readonly Finding[]> {
  try {
    return await look(readConfig(), options)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    const remedy = 'mend the TRACKCHAIN_… variables'
    return [{ check: 'configuration', state: 'fault', found: error.message, remedy }]
  }
}

/** @throws UsageError */
function serviceFrom(name: string | undefined): ServiceName | undefined {
  const service = SERVICES.find((each) => each === name)
  if (name === undefined || service !== undefined) return service
  throw new UsageError(`--for must be one of ${SERVICES.join(', ')}, got ${name}.`)
}

/** @throws UsageError */
function secondsFrom(text: string): number {
  const seconds = Number(text)
  if (seconds > 0 && seconds <= 600) return seconds
  throw new UsageError(`--limit must be a number of seconds up to 600, got ${text}.`)
}

function forPeople(findings: readonly Finding[]): string {
  const rows = findings.map(({ check, state, found, remedy = '' }) => [
    check,
    state,
    found,
    remedy,
  ])
  const count = (of: Finding['state']) => findings.filter(({ state }) => state === of).length
  const all = table([['check', 'state', 'found', 'what to do'], ...rows])
  const sum = `${count('ok')} ok, ${count('warning')} warnings, ${count('fault')} faults, ${count('unknown')} unknown`
  return `${all}\n\n${sum}.`
}
