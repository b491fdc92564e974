import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import { asChainError, PermanentError } from '#shared/contracts/errors/chain.ts'
import { locate } from '#shared/store/open.ts'
import { masterBytes } from '../../../services/stage/formats/master-bytes.ts'
import { survey } from '../../../services/stage/formats/survey.ts'
import { checkLimits } from '../../../services/stage/limits.ts'
import { stageMaster } from '../../../services/stage/resample/whole-master.ts'
import { hostileMasters } from '../../support/masters/hostile-masters.ts'
import type { Verdict } from '../../support/masters/hostile-verdict.ts'
import { heldMemory } from '../../support/processes/held-memory.ts'

const LIMITS = { max_hours: 24, max_channels: 8, max_rate_hz: 768_000 }
/** Maximum length of masters that are converted here, seconds. */
const MAX_SECONDS = 60
const { signal } = new AbortController()

const folder = await mkdtemp(join(tmpdir(), 'trackchain-hostile-'))
t.teardown(() => rm(folder, { recursive: true }))
const pathOf = (index: number) => join(folder, `${index}.wav`)

/** Puts the masters into the folder. Returns only names and verdicts, because the masters take 200 MB. */
async function placed(): Promise<(readonly [name: string, verdict: Verdict])[]> {
  const rows = await hostileMasters()
  for (const [index, [, master]] of rows.entries()) {
    await (typeof master === 'function'
      ? master(pathOf(index))
      : writeFile(pathOf(index), master))
  }
  return rows.map(([name, , verdict]) => [name, verdict])
}

/** Texts of a decoder that must not be shown: memory addresses, names of its parts. */
const NOT_OURS = /@ ?0x|0x[0-9a-f]{5}|\[\w+ @|Error number|Invalid data|whitelist/i

interface Outcome {
  readonly samples: number
  /** Where it was converted. */
  readonly peak: number | undefined
  /** Codes; undefined where the stream would have to be looked at, too. */
  readonly warnings: readonly string[] | undefined
}

/** Does with a master what `stage` does: reads its header, checks the limits, converts it. */
async function outcomeOf(index: number): Promise<Outcome | PermanentError> {
  const prefixes = [pathToFileURL(folder).href]
  try {
    const { driver, name } = locate(pathToFileURL(pathOf(index)).href, { prefixes })
    const found = await driver.stat(name)
    const file = masterBytes(driver, name, { bytes: found?.bytes ?? 0 })
    const layout = await survey(file, signal)
    checkLimits(layout, LIMITS)
    const warnings =
      layout.kind === 'pcm' ? (layout.warnings ?? []).map(({ code }) => code) : undefined
    if (layout.kind === 'pcm' && layout.samples / layout.rate > MAX_SECONDS) {
      return { samples: layout.samples, peak: undefined, warnings }
    }
    let peak = 0
    const { samples } = await stageMaster(layout, {
      ...{ file, signal },
      async write(_start, _end, wav) {
        const bytes = Buffer.from(wav.buffer, wav.byteOffset, wav.length)
        for (let at = 44; at < bytes.length; at += 2) {
          peak = Math.max(peak, Math.abs(bytes.readInt16LE(at)))
        }
      },
    })
    return { samples, peak, warnings }
  } catch (error) {
    const verdict = asChainError(error)
    if (verdict instanceof PermanentError) return verdict
    throw error
  }
}

function check(t: Test, outcome: Outcome | PermanentError, verdict: Verdict): void {
  if (outcome instanceof PermanentError || 'code' in verdict) {
    const { code, says } = 'code' in verdict ? verdict : { code: 'none', says: /none/ }
    t.match(outcome, { code, message: says })
    return
  }
  const { samples, peak } = outcome
  const { samples: span, peak: loudest = peak, warnings = [] } = verdict
  const [least, most] = typeof span === 'number' ? [span, span] : span
  t.ok(samples >= least && samples <= most, `${samples} samples; expected ${span}`)
  t.equal(peak, loudest)
  if (outcome.warnings !== undefined) t.same(outcome.warnings, warnings)
}

t.test(
  'odd and hostile masters get the verdicts of the table, and leave no memory in use',
  async (t) => {
    const rows = (await placed())
      .map(([name, verdict], index) => ({ name, verdict, index }))
      // The maximum length of a compressed master depends on the site: test/chain/hostile.test.ts.
      .filter(({ verdict }) => !('code' in verdict && verdict.code === 'TOO_LONG_TO_STAGE'))
    t.ok(rows.length >= 60, `${rows.length} masters`)
    const sentences = new Map<number, string>()
    for (const { name, verdict, index } of rows) {
      await t.test(name, async (t) => {
        const outcome = await outcomeOf(index)
        check(t, outcome, verdict)
        if (!(outcome instanceof PermanentError)) return
        t.notMatch(outcome.message, NOT_OURS, 'a sentence of ours')
        sentences.set(index, outcome.message)
      })
    }
    const before = await heldMemory()
    // A third of them, of all kinds: what is left over adds up with those as well.
    for (const { name, index } of rows.filter((_, i) => i % 3 === 0)) {
      const again = await outcomeOf(index)
      const message = again instanceof PermanentError ? again.message : undefined
      t.equal(message, sentences.get(index), `${name}: the same fault, the same sentence`)
    }
    const after = await heldMemory()
    t.ok(after < 1.15 * before, `${before >> 20} MiB before, ${after >> 20} MiB after`)
  },
)
