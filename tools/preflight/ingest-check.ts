import { KEPT_DAYS } from '#shared/contracts/api/cancellation.ts'
import { sentence } from '#shared/contracts/errors/sentence.ts'
import type { Config } from '#shared/frame/settings.ts'
import type { Check, Finding } from './check.ts'

const CHECK = 'ingest'

/** Asks ingest for cancellations, as a service does. Without an answer nothing fails, but nothing can be cancelled. */
export function ingestCheck({ ingest, ingest_token }: Config): Check {
  return {
    name: CHECK,
    remedy: 'mend TRACKCHAIN_INGEST',
    async run(signal) {
      if (ingest === '') {
        const found = 'TRACKCHAIN_INGEST is not set: what is cancelled goes on'
        return [warning(found, 'set it to the URL of the HTTP API')]
      }
      const { origin } = new URL(ingest)
      try {
        const response = await fetch(new URL('/v1/cancellations', ingest), {
          headers: ingest_token === '' ? {} : { authorization: `Bearer ${ingest_token}` },
          redirect: 'error',
          signal,
        })
        const { status } = response
        const text = await response.text()
        if (status === 401 || status === 403) {
          const remedy = 'set TRACKCHAIN_INGEST_TOKEN to a token with the scope read'
          return [warning(`${origin} does not let it in (${status})`, remedy)]
        }
        if (!response.ok) return [warning(`${origin} answers ${status}`, 'look at ingest')]
        const { cancellations } = JSON.parse(text) as { cancellations: readonly unknown[] }
        const found = `${origin} answers: ${cancellations.length} cancellations in ${KEPT_DAYS} days`
        return [{ check: CHECK, state: 'ok', found }]
      } catch (error) {
        const remedy = 'look at ingest, the name in TRACKCHAIN_INGEST, and network policies'
        return [warning(`${origin} does not answer: ${sentence(error)}`, remedy)]
      }
    },
  }
}

function warning(found: string, remedy: string): Finding {
  return { check: CHECK, state: 'warning', found, remedy }
}
