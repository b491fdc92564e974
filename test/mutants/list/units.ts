import { mutantsOf } from '../mutant.ts'

const units = [
  'test/shared/assets/make/unit-step.test.ts',
  'test/shared/assets/make/make-units.test.ts',
]

export default [
  ...mutantsOf('shared/assets/make/fan-in.ts', units, [
    {
      breaks: 'every copy of a step sends the run on',
      from: 'if ((await scratch.stat(marker, { signal })) !== undefined) {',
      to: 'if (false) {',
    },
    {
      breaks: 'a step sends the run on though another is owed',
      from: 'if (!(await isMade())) return { sends: [] }',
      to: '',
    },
    {
      breaks: 'the marker is never left',
      from: "await context.write('scratch', marker, body, 'application/json')",
      to: '',
    },
    {
      breaks: 'the marker is left before what it tells of has been sent',
      from: 'const next = await sendOn()',
      to: 'const next = await sendOn()\n  await mark()',
    },
    {
      breaks: 'a marker that was overtaken keeps scratch for ever',
      from: 'if (await isOver()) await clear()',
      to: '',
    },
  ]),
  ...mutantsOf('shared/assets/make/unit-work.ts', units, [
    {
      breaks: 'a run begun anew meets its old marker',
      from: 'restarts}`)',
      to: "'0'}`)",
    },
    {
      breaks: 'a version that is newer than the worker is made in the old one',
      from: 'asset === undefined || asset.version < unit.version',
      to: 'asset === undefined',
    },
    {
      breaks: 'a plan of an older version is carried out with the new one',
      from: 'if (asset.version > unit.version) {',
      to: 'if (false) {',
    },
    {
      breaks: 'of an asset in parts every part is joined',
      from: ' && unit.start === 0)',
      to: ')',
    },
  ]),
  ...mutantsOf('shared/assets/make/step-marks.ts', units, [
    {
      breaks: 'each step of a plan sends the job to ingest',
      from: 'if ((await scratch.stat(marker, { signal })) !== undefined) {',
      to: 'if (false) {',
    },
    {
      breaks: 'a run begins anew once and never again',
      from: 'message.restarts}`)',
      to: 'message.run}`)',
    },
    {
      breaks: 'that a run has begun anew is not marked',
      from: "next.verdict === 'restarted' ? { ...next, afterwards: [mark] } : next",
      to: 'next',
    },
  ]),
  ...mutantsOf('shared/assets/end-run.ts', units, [
    {
      breaks: 'a run begins anew for ever',
      from: 'message.restarts >= MAX_RESTARTS && ',
      to: 'message.restarts >= 1e9 && ',
    },
    {
      breaks: 'a rollout that takes long makes dead letters',
      from: " && error.code !== 'SUPERSEDED'",
      to: '',
    },
    {
      breaks: 'a run that begins anew does not count that it does',
      from: 'restarts: String(message.restarts + 1)',
      to: 'restarts: String(message.restarts)',
    },
    {
      breaks: 'an asset is there when its first file is',
      from: 'if (stat === undefined) return undefined',
      to: 'if (stat === undefined) continue',
    },
    {
      breaks: 'scratch is never cleared',
      from: 'await scratch.removeAll(`',
      to: 'void (`',
    },
    {
      breaks:
        'tombstones go with the samples: a late copy tries again what has failed for good',
      from: "hasTombstones ? ['wav/', 'parts/'] : ['']",
      to: "['']",
    },
  ]),
  ...mutantsOf('shared/assets/make/make-units.ts', units, [
    {
      breaks: 'what is there is made again: inputs before outputs',
      from: 'if ((await outcomeOf(work, unit)) !== undefined) {',
      to: 'if (false) {',
    },
    {
      breaks: 'a part that throws ends the step: its other units are not made',
      from: 'if (error instanceof PermanentError) {\n        fresh.set(',
      to: 'if (error instanceof PermanentError) {\n        throw error\n        fresh.set(',
    },
    {
      breaks: 'what has failed for good leaves no tombstone',
      from: "await context.write('scratch', tombstoneName(message, unit), body, 'application/json')",
      to: '',
    },
    {
      breaks: 'a tool that fails hides behind the units that were made',
      from: 'if (faults.length > 0) throw faults[0]',
      to: '',
    },
    {
      breaks: 'the first tool that fails ends the step',
      from: 'else faults.push(error)',
      to: 'else throw error',
    },
    {
      breaks: 'the first file is written first: half an asset looks whole',
      from: 'Object.entries(asset.files).reverse()',
      to: 'Object.entries(asset.files)',
    },
    {
      breaks: 'an asset whose part has failed is joined from the rest',
      from: "if (verdict?.state === 'failed') return verdict",
      to: '',
    },
    {
      breaks: 'a part that is no bytes is written',
      from: "if (!(part instanceof Uint8Array)) throw nothing(asset, 'part')",
      to: '',
    },
    {
      breaks: 'parts that have gone are a passing fault: the run hangs',
      from: 'if (!isNotFound(error)) throw error\n    throw new RestartError',
      to: 'throw error\n    throw new RestartError',
    },
    {
      breaks: 'the small result of an asset is left out of its verdict',
      from: '{ ...made, result: result.value }',
      to: 'made',
    },
    {
      breaks: 'a file that breaks off is the fault of the store',
      from: 'if (isStreamed(file)) return opened.checkedFile(asset, file)',
      to: 'if (isStreamed(file)) return file',
    },
  ]),
  ...mutantsOf('shared/assets/make/fault-boundary.ts', units, [
    {
      breaks: 'a file shorter than it promises is an asset',
      from: 'if (bytes === file.byteLength) return',
      to: 'return',
    },
    {
      breaks: 'a store that fails under a tool is the fault of the asset',
      from: "if (typeof error === 'object' && error !== null) passing.add(error)",
      to: '',
    },
    {
      breaks: 'the fault of a store is not known again behind the words of an asset',
      from: 'passing.has(error) || isPassing(causeOf(error), depth + 1)',
      to: 'passing.has(error)',
    },
    {
      breaks: 'a fault of the asset itself is tried twenty times',
      from: "return new PermanentError('RENDER_FAILED', words, { cause: error })",
      to: 'return error',
    },
    {
      breaks: 'what fails because the step was stopped is the fault of the asset',
      from: 'context.signal.aborted || isPassing(error)',
      to: 'isPassing(error)',
      unnoticed:
        'nothing awaits the result of a step that was stopped: deliver has given it back',
    },
    {
      breaks: 'what fails between two pieces is the fault of the asset',
      from: 'if (result?.[Symbol.asyncIterator] !== undefined) return watchPieces(result)',
      to: '',
    },
  ]),
  ...mutantsOf('shared/assets/make/find-output.ts', units, [
    {
      breaks: 'a part that was made is made again',
      from: 'if (part !== undefined) return',
      to: 'if (part === null) return',
    },
    {
      breaks: 'what has failed for good is tried again',
      from: '(await assetOutcome(work, unit)) ?? (await readTombstone(work, unit))\n}',
      to: '(await assetOutcome(work, unit))\n}',
    },
    {
      breaks: 'a part that failed says nothing of its asset',
      unnoticed:
        'the step that joins finds the tombstone for itself, and is the only one that sends on',
      from: '? await readTombstone(work, unit)\n',
      to: '? undefined\n',
    },
    {
      breaks: 'a store that is away is taken for an asset that has not failed',
      from: 'if (isNotFound(error)) return undefined\n    throw error',
      to: 'return undefined',
    },
  ]),
  ...mutantsOf('shared/assets/make/make-units.ts', units, [
    {
      breaks: 'what is over budget is tried for ever',
      from: 'if (overBudget !== undefined) throw overBudget',
      to: '',
    },
    {
      breaks: 'what is stopped each time keeps the others waiting each time',
      from: 'total(stopsAt(unit)) + (isOwn(work, unit) ? 0.5 : 0)',
      to: '0',
    },
  ]),
  ...mutantsOf('shared/assets/make/result.ts', units, [
    {
      breaks: 'a result of any length travels in every message',
      from: 'if (file.byteLength > MAX_RESULT_BYTES)',
      to: 'if (file.byteLength < 0)',
    },
    {
      breaks: 'a result without a bottom reaches code that goes through it',
      from: 'if (isDeeper(value, MAX_DEPTH)) throw',
      to: 'if (isDeeper(value, 1e9)) throw',
    },
  ]),
  ...mutantsOf('shared/assets/make/unit-step.ts', units, [
    {
      breaks: 'giving up is a verdict on what was made, too',
      from: 'if ((await outcomeOf(work, unit)) !== undefined) continue\n        fresh.set(unit.asset, await leaveTombstone',
      to: 'fresh.set(unit.asset, await leaveTombstone',
    },
    {
      breaks: 'giving up leaves no tombstone: the others wait for ever',
      from: 'fresh.set(unit.asset, await leaveTombstone(work, unit, error))',
      to: '',
    },
    {
      breaks: 'a copy that comes after the end sends the job to ingest',
      from: "error.code === 'SCRATCH_MISSING' && (await areMade(work, units))",
      to: 'false',
    },
    {
      breaks: 'a run whose samples have gone is sent on as made',
      from: "error.code === 'SCRATCH_MISSING' && (await areMade(work, units))",
      to: "error.code === 'SCRATCH_MISSING'",
    },
    {
      breaks: 'analysis is the end: nothing is encoded',
      from: 'const next = nextStage(message.plan.steps, stage)',
      to: 'const next = undefined',
    },
    {
      breaks: 'what analysis has found is lost on the way',
      from: '{ ...message.verdicts, ...(await verdictsByName(work, fresh)) }',
      to: '{ ...(await verdictsByName(work, fresh)) }',
    },
    {
      breaks: 'scratch stays when a run is sent to publish',
      from: 'afterwards: [() => clear(work, verdicts)],',
      to: '',
    },
    {
      breaks: 'an asset in parts is never joined',
      from: 'const isToJoin = joinsDue(work).length > 0',
      to: 'const isToJoin = false',
    },
  ]),
  ...mutantsOf('shared/contracts/messages/consistent.ts', units, [
    {
      breaks: 'a unit of no samples is made',
      from: 'start >= end || end > pcm.samples',
      to: 'end > pcm.samples',
    },
    {
      breaks: 'a unit beyond the end of the track is made',
      from: 'start >= end || end > pcm.samples',
      to: 'start >= end',
    },
    {
      breaks: 'a step that the plan does not have is done',
      from: 'step > steps ?',
      to: 'false ?',
    },
  ]),
]
