import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import t from 'tap'

/** Words that have gone from names, comments and sentences, and what to write instead. */
const GONE: Readonly<Record<string, RegExp>> = {
  'reported, returned, known, notified': /\b(?:un)?told\b/i,
  'a caller, an operator, the step that …': /\bwhoever\b/i,
  'off by default': /\bunless told\b|\bnone are made unless\b/i,
  'MAX_, MIN_, DEFAULT_': /\b(?:MOST|LEAST|USUAL)_[A-Z]/,
  'a number of, this many': /\bso many\b/i,
  CONCURRENCY: /\bAT_ONCE\b/,
  'JobStatus, TrackDetail, HistoryEvent': /\b\w*Told\b|\btoldBy\b/,
  'PubsubInspector, Inspected': /\bPubsubLook\b|\bLooked\b/,
  'requireScope, assertNotExposed': /\b(?:guard|check)Door\b/,
  'planRun, findExisting, skipRun, budgetOf': /\b(?:whatExists|allThere|paceOf)\b/,
  'continueConversion, fanOut': /\b(?:goOnStaging|handedOn)\b/,
  'in-memory-markers, in-process-bus': /\bown-(?:markers|topics)\b/,
  'process-registry, supervised-postgres, core-broker':
    /\bleftovers\.ts\b|\bown-database\b|\blend-cores\b/,
  'find-output, count-timeouts, step-due-contract':
    /\bunits\/(?:lend|outcome|stops|consistent)\b/,
  'lease, leased': /\bon loan\b|\bloans?\b/i,
  'work-queue': /\bbus\/intake\b/,
  'isSuspect, isExpected': /\b(?:inDoubt|isAnswer)\b/,
  'the verdict retry': /verdict\W{1,4}(?:is )?['"`]again['"`]/,
  'changes with the tags': /another for other tags/i,
  'where authentication is off': /where nobody is asked/i,
  'Exit codes: 0 success, …': /ends with 0 when/i,
  'error: …': /\bit did not work\b/i,
  "The request's origin is not allowed.": /from a place that may not/i,
  'Internal error.': /\ba fault of ours\b/i,
  'is not available here; available: …': /\b(?:is|are) (?:not )?on offer\b/i,
  'Sign in, Continue, Upload': /\bwho are you\b|\bcome in\b['"<]|\bgiving audio\b/i,
  Runbook: /\bwhen it is red: runbook\b/i,
  unknown: /\bnot told\b/i,
}

/** Everything that is read, less what quotes the words on purpose. */
const FILES = execFileSync(
  'git',
  ['ls-files', 'shared', 'services', 'tools', 'docs', 'k8s', 'terraform', 'test', '*.md'],
  { encoding: 'utf8' },
)
  .split('\n')
  .filter((file) => /\.(?:md|ts|js|mjs|css|html|sh|yaml|tf|hcl|json)$/.test(file))
  .filter((file) => existsSync(file) && !/^CHANGELOG|language\.test\.ts$/.test(file))

t.test('words that have gone do not come back', async (t) => {
  t.ok(FILES.length > 500, `${FILES.length} files`)
  for (const file of FILES) {
    const lines = readFileSync(file, 'utf8').split('\n')
    for (const [index, line] of [file, ...lines].entries()) {
      for (const [instead, gone] of Object.entries(GONE)) {
        const [word] = gone.exec(line) ?? []
        if (word !== undefined) t.fail(`${file}:${index}: "${word}"; write: ${instead}`)
      }
    }
  }
})
