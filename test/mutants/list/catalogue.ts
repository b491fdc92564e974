import { mutantsOf } from '../mutant.ts'

const batches = ['test/shared/catalogue/batches.test.ts']
const jobRow = ['test/shared/catalogue/job-row.test.ts']
const jobs = ['test/shared/catalogue/jobs.test.ts']
const tracks = ['test/shared/catalogue/tracks.test.ts']
const events = ['test/shared/catalogue/events.test.ts']
const letters = ['test/shared/catalogue/letters.test.ts']
const cancel = ['test/shared/catalogue/cancel.test.ts']
const together = ['test/shared/catalogue/together.test.ts']

export default [
  ...mutantsOf(
    'shared/catalogue/jobs/record-runs.ts',
    [...batches, ...jobs],
    [
      {
        breaks: 'what has been announced is announced by every redelivery',
        from: '(id === announcement && announced)',
        to: '(id === announcement && false)',
      },
      {
        breaks: 'a claim of another process is not seen',
        from: 'announcementFor(row, id, id === announcement && claimed)',
        to: 'announcementFor(row, id, false)',
      },
      {
        breaks: 'who announces what was complete before claims nothing',
        from: 'late.map(({ job }) => job),',
        to: '[],',
      },
      {
        breaks: 'a failed verdict is not mended, though another job has made the asset',
        from: '  await mend(query, after, news)\n',
        to: '',
      },
      {
        breaks: 'a failed verdict is mended from another revision',
        from: 'if (key.revision !== revision || key.version !== version) continue',
        to: 'if (key.version !== version) continue',
      },
      {
        breaks: 'a failed verdict is mended from another version',
        from: 'if (key.revision !== revision || key.version !== version) continue',
        to: 'if (key.revision !== revision) continue',
      },
      {
        breaks: 'a failed verdict is mended from another track',
        from: 'key.track !== track || key.asset !== asset',
        to: 'key.asset !== asset',
      },
      {
        breaks: 'a failed verdict is mended from another asset',
        from: 'key.track !== track || key.asset !== asset',
        to: 'key.track !== track',
      },
      {
        breaks: 'a mended verdict has lost its small result',
        from: 'return { ...each, verdicts: verdicts[index] ?? {}, warnings',
        to: 'return { ...each, verdicts: each.verdicts as Announcement["verdicts"], warnings',
      },
      {
        breaks: 'a mark closes a job that was opened again since',
        from: 'job.announcement = announced.announcement\n',
        to: 'true\n',
      },
      {
        breaks: 'the watchdog goes on after a job has been announced',
        from: 'delete from watch where job in (select id from marked)',
        to: 'select from marked',
      },
      {
        breaks: 'a run that ends before anybody recorded its job is lost',
        from: 'return locked.size < jobs.size ? locked : await recorded',
        to: 'return await recorded',
      },
      {
        breaks: 'a commit is counted again by each redelivery',
        from: "verdict.state === 'failed' && verdict !== before.get(asset)",
        to: "verdict.state === 'failed'",
        tests: ['test/services/publish/counted.test.ts'],
      },
      {
        breaks: 'a verdict of another revision is taken for known',
        from: 'stored.revision === (master?.revision ?? null) &&',
        to: '',
      },
      {
        breaks: 'a verdict of another version is taken for known',
        from: 'stored.version === version &&',
        to: '',
      },
      {
        breaks: 'a newer run with the same verdicts is taken for known',
        from: 'if (run > row.run || request',
        to: 'if (request',
      },
      {
        breaks: 'that an asset was made after all is taken for known',
        from: "(stored.state === state || stored.state === 'made')",
        to: 'true',
      },
    ],
  ),
  ...mutantsOf('shared/catalogue/jobs/job-row.ts', jobRow, [
    {
      breaks: 'a verdict of an earlier run decides a redrive',
      from: 'verdict.run >= (row.wanted.get(asset) ?? 0)',
      to: 'true',
    },
    {
      breaks: 'what was made of the same bytes is taken back by a later failure',
      from: "if (same && old.state === 'made') return",
      to: "if (same && old.state === 'nothing') return",
    },
    {
      breaks: 'what was made is lost to an earlier failure that comes late',
      from: "if (same && next.state === 'made') return",
      to: "if (same && next.state === 'nothing') return",
    },
    {
      breaks: 'in one run a failure of other bytes beats what was made',
      from: "return next.state === 'made' ? next : old",
      to: "return next.state === 'made' ? old : next",
    },
    {
      breaks: 'of two verdicts of one run the older one wins',
      from: 'Date.parse(next.accepted) > Date.parse(old.accepted)',
      to: 'Date.parse(next.accepted) < Date.parse(old.accepted)',
    },
    {
      breaks: 'an earlier run that comes late wins',
      from: 'old === undefined || next.run > old.run',
      to: 'old === undefined || next.run < old.run',
    },
    {
      breaks: 'redrives of different assets are announced under one id',
      from: 'digest([job, run, Object.fromEntries(wanted), ...after], 32)',
      to: 'digest([job, run, [...wanted.keys()].sort(), ...after], 32)',
      tests: letters,
    },
    {
      breaks: 'a job that was cancelled and asked for again is announced under an old id',
      from: 'Object.fromEntries(wanted), ...after]',
      to: 'Object.fromEntries(wanted)]',
      tests: cancel,
    },
    {
      breaks: 'a late copy opens a cancelled job',
      from: 'if (isWithdrawn(row, accepted)) return row',
      to: '',
      tests: cancel,
    },
    {
      breaks: 'a cancelled job waits for what nobody wants any more',
      from: 'filter(([asset]) => isDecided(row, asset))',
      to: 'filter(() => true)',
      tests: cancel,
    },
    {
      breaks: 'a cancelled job is announced',
      from: '!isCancelled(row) && wantedAssets',
      to: 'wantedAssets',
      tests: cancel,
    },
    {
      breaks: 'a job with one asset missing is done',
      from: "made.length === assets.length ? 'done'",
      to: "made.length > 0 ? 'done'",
    },
    {
      breaks: 'a higher run does not open a job again',
      from: '(row.wanted.get(asset) ?? 0) < run',
      to: '!row.wanted.has(asset)',
    },
    {
      breaks: 'an old run that comes late replaces what was asked for',
      from: 'if (!newer) return { ...row, wanted }',
      to: '',
    },
  ]),
  ...mutantsOf('shared/catalogue/jobs/cancel-jobs.ts', cancel, [
    {
      breaks: 'numbers of cancellations are not in the order of commits',
      from: "await query({ text: 'select pg_advisory_xact_lock($1)' }, [LOCK])",
      to: '',
    },
    {
      breaks: 'a job that is asked for again ends with the cancelled ones',
      from: ' and job.accepted_at <= picked.before',
      to: '',
    },
    {
      breaks: 'what a clock that is ahead has accepted escapes',
      from: 'select max(accepted_at) from (',
      to: 'select min(accepted_at) from (',
    },
    {
      breaks: 'a cancelled job is swept',
      from: 'delete from watch using locked where watch.job = locked.id',
      to: 'delete from watch using locked where false',
    },
  ]),
  ...mutantsOf(
    'shared/catalogue/jobs/job-table.ts',
    [...batches, ...jobs],
    [
      {
        breaks: 'a job that is widened stays announced',
        from: 'announced_at = case when r.announcement = job.announcement then job.announced_at end',
        to: 'announced_at = job.announced_at',
      },
      {
        breaks: 'a job that is widened is not watched',
        from: 'announcement is not null from changed where is_owed',
        to: 'announcement is not null from changed where false',
      },
      {
        breaks: 'a redriven job has used up its sweeps',
        from: 'begun = excluded.begun, swept = 0',
        to: 'begun = excluded.begun',
      },
      {
        breaks: 'each end of a run starts the watch anew',
        from: 'announcement is not null from changed where is_owed',
        to: 'announcement is not null from changed where true',
      },
      {
        breaks: 'jobs are locked in any order: two batches wait in a circle',
        from: '} order by id for update',
        to: '} order by random() for update',
        tests: together,
      },
      {
        breaks: 'jobs are not locked: of two batches one is lost',
        from: '} order by id for update',
        to: '} order by id',
      },
      {
        breaks: 'a claim outlives its owner by a quarter of an hour',
        from: 'const CLAIM_SECONDS = 15',
        to: 'const CLAIM_SECONDS = 900',
      },
      {
        breaks: 'a claim is over before the step can be',
        from: 'const CLAIM_SECONDS = 15',
        to: 'const CLAIM_SECONDS = 5',
      },
      {
        breaks: 'a job that ended keeps the moment of its first end',
        from: 'when r.announcement = job.announcement then job.ended_at\n        else now() end',
        to: 'else coalesce(job.ended_at, now()) end',
      },
    ],
  ),
  ...mutantsOf(
    'shared/catalogue/tracks/asset-table.ts',
    [...batches, ...tracks],
    [
      {
        breaks: 'what was made is overwritten by a later failure',
        from: "where asset.state = 'failed'\n    returning",
        to: 'returning',
      },
      {
        breaks: 'within a batch a failure beats what was made',
        from: "if (assets.get(name)?.state !== 'made') assets.set",
        to: 'assets.set',
      },
      {
        breaks: 'what failed counts as a result',
        from: "        and state = 'made'\n",
        to: '',
      },
    ],
  ),
  ...mutantsOf(
    'shared/catalogue/tracks/track-table.ts',
    [...batches, ...tracks],
    [
      {
        breaks: 'an older job that ends late decides the revision',
        from: 'excluded.accepted_at >= old.accepted_at)',
        to: 'true)',
      },
      {
        breaks: 'in a batch the job that comes last decides the revision',
        from: "if (run.master === null || at < (before?.at ?? '')) continue",
        to: 'if (run.master === null) continue',
      },
    ],
  ),
  ...mutantsOf(
    'shared/catalogue/jobs/sweep-jobs.ts',
    [...batches, ...events],
    [
      {
        breaks: 'two watchdogs sweep the same job',
        from: ' and watch.swept = sweep.swept\n',
        to: '\n',
      },
      {
        breaks: 'a sweep does not start the clock again',
        from: "then now() else 'infinity' end",
        to: "then since else 'infinity' end",
      },
      { breaks: 'a sweep is not counted', from: 'swept = watch.swept + 1, begun', to: 'begun' },
      {
        breaks: 'who has not claimed a stale job publishes it all the same',
        from: 'return stale.filter(({ job }) => claimed.has(job))',
        to: 'return stale',
      },
      {
        breaks: 'a swept job asks for what the first request asked for alone',
        from: 'request: { ...requestOf(columns), derivative_assets }',
        to: 'request: requestOf({ ...columns, wanted: { bpm: 1 } })',
      },
    ],
  ),
  ...mutantsOf(
    'shared/catalogue/events/record-events.ts',
    [...batches, ...events],
    [
      {
        breaks: 'a dead letter does not call the watchdog off',
        from: 'await database.query(DEAD_LETTERED, [rows(values)], signal)',
        to: '',
      },
      {
        breaks: 'a letter of an earlier run calls off the watch over this one',
        from: 'where watch.job = locked.id and letter.run >= locked.run',
        to: 'where watch.job = locked.id',
      },
      {
        breaks: 'an accepted event does not make up for a row that is missing',
        from: '  await acceptAgain(database, events.flatMap(acceptance), signal)\n',
        to: '',
      },
      {
        breaks: 'an event that comes twice is a fault',
        from: 'on conflict (at, id) do nothing\n      returning *',
        to: 'returning *',
      },
    ],
  ),
  ...mutantsOf('shared/catalogue/letters/claim-letters.ts', letters, [
    {
      breaks: 'a letter that is claimed is claimed again',
      from: '(claimed_until is null or claimed_until < now()',
      to: '(true',
    },
    {
      breaks: 'a settled letter is settled again',
      from: "where dead_letter.id = r.id and dead_letter.state = 'open'`",
      to: 'where dead_letter.id = r.id`',
    },
    {
      breaks: 'what has no job is redriven',
      from: '} and request is not null and',
      to: '} and',
    },
    {
      breaks: 'the youngest letter is redriven first',
      from: 'order by published_at, id`',
      to: 'order by published_at desc, id`',
    },
  ]),
  ...mutantsOf(
    'shared/catalogue/database.ts',
    [...batches, 'test/shared/catalogue/lost.test.ts'],
    [
      {
        breaks: 'a transaction that throws is committed',
        from: "await client.query('rollback').catch(() => {})",
        to: "await client.query('commit').catch(() => {})",
      },
      {
        breaks: 'a connection that hangs goes back into the pool',
        from: 'client.release(!isUsable)',
        to: 'client.release()',
      },
      {
        breaks: 'a lost connection ends the process',
        from: "pool.on('error', () => {})",
        to: '',
      },
      {
        breaks: 'a statement may take for ever',
        from: 'statement_timeout: statementMs,',
        to: '',
      },
    ],
  ),
]
