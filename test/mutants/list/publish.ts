import { mutantsOf } from '../mutant.ts'

const callbacks = ['test/services/publish/callbacks.test.ts']
const publishing = ['test/services/publish/publishing.test.ts']

export default [
  ...mutantsOf('services/publish/step.ts', publishing, [
    {
      breaks: 'announcing is never marked: every finished job is swept again',
      from: 'afterwards: [() => markAnnounced(announcement)],',
      to: 'afterwards: [],',
    },
    {
      breaks: 'it is marked before it is announced',
      from: "      if (announcement === undefined) return { sends: [], verdict: 'skipped' }\n",
      to: "      if (announcement === undefined) return { sends: [], verdict: 'skipped' }\n      await markAnnounced(announcement)\n",
    },
    {
      breaks: 'what failed leaves no letter',
      from: '          ...letters(announcement),\n',
      to: '',
    },
    {
      breaks: 'a letter of an earlier run claims to be of this one',
      from: 'attributesOf({ ...announcement, run })',
      to: 'attributesOf(announcement)',
    },
    {
      breaks: 'the same letter has another id each time the job is announced',
      from: 'digest([job, run, step, code, reason, derivative_assets], 32)',
      to: 'digest([job, announcement.run, step, code, reason, derivative_assets], 32)',
    },
    {
      breaks: 'a letter asks for assets that have not failed',
      from: '{ ...request, derivative_assets },\n      {',
      to: 'request,\n      {',
    },
    {
      breaks: 'what failed for two reasons is one letter with half of the truth',
      from: 'JSON.stringify([run, step, code, sentence])',
      to: 'JSON.stringify([run, step, code])',
    },
    {
      breaks: 'a redriven job forgets when it was first accepted',
      from: '        accepted,\n        ...letterAttributes',
      to: '        ...letterAttributes',
    },
  ]),
  ...mutantsOf('services/publish/run-recorder.ts', publishing, [
    {
      breaks: 'what another process is announcing is announced as well',
      from: "if (found?.claimed) throw new Error('another delivery is announcing this run: given back')",
      to: '',
    },
    {
      breaks: 'copies in one batch are announced twice',
      from: 'due.set(job, { ...announcement, claimed: true })',
      to: '',
    },
    {
      breaks: 'the mark is never written',
      from: 'await markAnnounced(database, announced)',
      to: '',
    },
  ]),
  ...mutantsOf('services/publish/watchdog.ts', publishing, [
    {
      breaks: 'the watchdog publishes nothing',
      from: 'await bus.publish(topic, { data, attributes })',
      to: '',
    },
    {
      breaks: 'a sweep is reported before it is published',
      from: 'await bus.publish(topic, { data, attributes })',
      to: 'void bus.publish(topic, { data, attributes }).catch(() => {})',
    },
    {
      breaks: 'a sweep is no event: the net hides the hole',
      from: 'await events.report({',
      to: 'await Promise.resolve({',
    },
    {
      breaks: 'a swept job is another run',
      from: 'run: String(run), accepted }',
      to: 'accepted }',
    },
    {
      breaks: 'a swept job is younger than it is',
      from: 'run: String(run), accepted }',
      to: 'run: String(run) }',
    },
    {
      breaks: 'a job that never ends is swept for ever',
      from: 'sweptLessThan: MAX_SWEEPS',
      to: 'sweptLessThan: 1000',
    },
    { breaks: 'sweeps are not counted', from: 'metrics.swept.add(1)', to: '' },
  ]),
  ...mutantsOf('services/publish/event-recorder.ts', publishing, [
    {
      breaks: 'events are acked before they are committed',
      from: 'await record(events)',
      to: 'void record(events).catch(() => {})',
    },
    {
      breaks: 'a database that is away makes dead letters of history',
      from: "if (!(error instanceof PermanentError)) return 'nack'",
      to: '',
    },
    {
      breaks: 'events that are none come again for ever',
      from: "await bus.publish(DEAD_LETTER_TOPIC, setAsideAs(delivery, 'recorder', error))",
      to: "return 'nack'",
    },
    {
      breaks: 'no events are recorded',
      from: 'await recordEvents(database, messages.flat())',
      to: '[]',
      tests: ['test/services/publish/main.test.ts'],
    },
  ]),
  ...mutantsOf('services/publish/keep-dead-letters.ts', publishing, [
    {
      breaks: 'a letter is acked that was not kept',
      from: 'if (await keepLetter(database, letter)) additions?.kept(letter.step)',
      to: '',
    },
    {
      breaks: 'a crash is reported by nothing: the watchdog sweeps the job',
      from: "if (letter.code === 'CRASHED') await events.report(crashed(letter))",
      to: '',
    },
    {
      breaks: 'each copy of a letter reports the crash again',
      from: '    id: uuidFrom(`crashed:',
      to: '    crashed: uuidFrom(`crashed:',
    },
  ]),
  ...mutantsOf(
    'services/publish/retention.ts',
    ['test/services/publish/recorder.test.ts'],
    [
      { breaks: '0 days forgets all', from: 'if (days === 0) return 0', to: '' },
      {
        breaks: 'one batch an hour is all that is ever removed',
        from: 'if (batch < atOnce) break',
        to: 'break',
      },
    ],
  ),
  ...mutantsOf(
    'services/publish/main.ts',
    ['test/services/publish/main.test.ts'],
    [
      {
        breaks: 'no jobs that have not ended are looked for',
        from: 'sweepOnce({ bus, events, database, metrics }, config.watchdog_after_seconds).catch(',
        to: 'Promise.resolve().catch(',
      },
      {
        breaks: 'no dead letters are kept',
        from: "requeuing('dead-letter', metrics, keepDeadLetters({ database, events, log, additions })),",
        to: "requeuing('dead-letter', metrics, async () => 'ack'),",
      },
      {
        breaks: 'no release is ever complete',
        from: 'callBackOnce({ database, bus }, 1000 * config.callback_quiet_seconds, stopping),',
        to: 'Promise.resolve(false),',
      },
      {
        breaks: 'nothing is ever forgotten',
        from: '  forgetOld(old, lifecycle.stopping)\n',
        to: '',
      },
    ],
  ),
  ...mutantsOf('shared/catalogue/callbacks/complete-releases.ts', callbacks, [
    {
      breaks: 'a release is complete before a minute has passed',
      from: 'and changed < now() - make_interval(secs => $1 / 1000.0)',
      to: 'and $1::float is not null',
    },
    {
      breaks: 'what was complete before there were callbacks is news',
      from: 'and changed > (select applied_at from migration where name = $3)',
      to: 'and $3::text is not null',
    },
    {
      breaks: 'what is complete once more has the id of before',
      from: 'digest([type, release, at], 32)',
      to: 'digest([type, release], 32)',
    },
  ]),
  ...mutantsOf('shared/catalogue/callbacks/relay-callbacks.ts', callbacks, [
    {
      breaks: 'a callback is sent again and again',
      from: '    await query(MARK, [due.map(({ number }) => number)])\n',
      to: '',
    },
    {
      breaks: 'a callback is marked by who dies before sending it',
      from: '    await sent(due.map(({ body }) => body))\n',
      to: '    await sent(due.map(({ body }) => body)).catch(() => {})\n',
    },
  ]),
]
