import { mutantsOf } from '../mutant.ts'

const pod = ['test/services/dispatch/pod.test.ts']
const one = ['test/services/dispatch/one-pod.test.ts']
const own = ['test/services/dispatch/own.test.ts']

export default [
  ...mutantsOf('services/dispatch/cluster/pod-spec.ts', pod, [
    {
      breaks: 'a DisruptionTarget of status False excuses every death',
      from: "type === 'DisruptionTarget' && status === 'True'",
      to: "type === 'DisruptionTarget'",
    },
    {
      breaks: 'any condition that holds excuses every death',
      from: "type === 'DisruptionTarget' && status === 'True'",
      to: "status === 'True'",
    },
    {
      breaks: 'a pod that is lost with its node counts as its own death',
      from: 'isDisrupted || LOST.test(why)',
      to: 'isDisrupted',
    },
    {
      breaks: 'a reason that only resembles one excuses a death',
      from: '  /^(Evicted|',
      to: '  /(Evicted|',
    },
    {
      breaks: 'what gives its message back is a death',
      from: 'ended?.exitCode === GIVEN_BACK || ended?.exitCode === CONFIG_EXIT',
      to: 'ended?.exitCode === CONFIG_EXIT',
    },
    {
      breaks: 'a wrong configuration of pods is a death of their tracks',
      from: 'ended?.exitCode === GIVEN_BACK || ended?.exitCode === CONFIG_EXIT',
      to: 'ended?.exitCode === GIVEN_BACK',
    },
    {
      breaks: 'a heap that is full is no lack of memory',
      from: "if (ended?.exitCode === ABORTED) return { kind: 'out of memory', reason }",
      to: '',
    },
    {
      breaks: 'what ran out of time is tried again for ever',
      from: "if (why === 'DeadlineExceeded') return { kind: 'failed', reason }",
      to: '',
    },
    {
      breaks: 'a pod that is alive has a fate',
      from: 'if (!isEnded(pod)) return undefined',
      to: '',
    },
    {
      breaks: 'a run that begins anew meets its old pod',
      from: 'digest([route, restarts, request, work])',
      to: 'digest([route, request, work])',
    },
    {
      breaks: 'the dispatcher overwrites what an operator has set',
      from: '.filter(([name]) => !given.has(name))',
      to: '',
    },
  ]),
  ...mutantsOf('services/dispatch/dispatcher.ts', one, [
    {
      breaks: 'success for another message is an answer to this one',
      from: "fate.kind === 'succeeded' && isFor(pod, delivery)",
      to: "fate.kind === 'succeeded'",
    },
    {
      breaks: 'a pod is removed before its success has been reported',
      from: 'afterwards: [remove], ',
      to: 'afterwards: [await remove()].map(() => remove), ',
    },
    {
      breaks: 'pods of finished tracks stay',
      from: 'afterwards: [remove], ',
      to: '',
    },
    {
      breaks: 'what is lost with its node is given back, and waits for its turn',
      from: "isOf(pod, delivery) && fate.kind !== 'lost'",
      to: 'isOf(pod, delivery)',
    },
    {
      breaks: 'what is lost with its node counts as a death',
      from: "if (kind !== 'failed' && kind !== 'out of memory') return",
      to: '',
    },
    {
      breaks: 'deaths are not remembered: a pod that always dies is minted for ever',
      from: "await context.write('scratch', record as ObjectName, new Uint8Array(), 'text/plain')",
      to: '',
    },
    {
      breaks: 'a verdict at the fourth death',
      from: 'export const MAX_POD_FAILURES = 5',
      to: 'export const MAX_POD_FAILURES = 4',
    },
    {
      breaks: 'the fifth death does not count',
      from: 'length < MAX_POD_FAILURES',
      to: 'length <= MAX_POD_FAILURES',
    },
    {
      breaks: 'what ran out of memory gets as much again',
      from: 'failure.endsWith(OUT_OF_MEMORY)',
      to: 'failure.endsWith(OUT_OF_MEMORY.toUpperCase())',
    },
    {
      breaks: 'a pod that has failed stays, and answers every delivery',
      from: '    await remove()\n',
      to: '',
    },
  ]),
  ...mutantsOf('services/dispatch/cluster/pods.ts', one, [
    {
      breaks: 'any number of pods is minted',
      from: 'while (!this.#hasRoom(name)) await this.changed(ANY, signal)',
      to: '',
    },
    {
      breaks: 'pods that are being minted take no room',
      from: 'live + this.#reserved.size < this.#most',
      to: 'live < this.#most',
    },
    {
      breaks: 'pods that have ended take room for ever',
      from: 'if (!isEnded(pod) && !this.#reserved.has(known)) live++',
      to: 'if (!this.#reserved.has(known)) live++',
    },
    {
      breaks: 'a creation that failed keeps its room',
      from: '      this.#reserved.delete(name)\n',
      to: '',
    },
    {
      breaks: 'the end of an old pod hides the one that has its name now',
      from: 'if (this.get(name)?.metadata?.uid !== uid) return',
      to: '',
    },
    {
      breaks: 'a caller that waits for a pod does not learn of its end',
      from: '    this.#news.emit(name)\n',
      to: '',
    },
    {
      breaks: 'the first of two who wait leaves the other unattended',
      from: 'if (left > 0) this.#attended.set(name, left)',
      to: 'if (left > 9) this.#attended.set(name, left)',
    },
  ]),
  ...mutantsOf('services/dispatch/collect.ts', one, [
    {
      breaks: 'a pod is collected although a dispatcher waits for it',
      from: 'if (!garbage.force && pods.isAttended(name)) continue',
      to: '',
    },
    {
      breaks: 'a pod on a node that has vanished is waited for, for ever',
      from: 'if (!garbage.force && pods.isAttended(name)) continue',
      to: 'if (pods.isAttended(name)) continue',
    },
    {
      breaks: 'a pod that has just ended is collected',
      from: 'fate !== undefined && now - endedAt(pod) > ENDED_MS',
      to: 'fate !== undefined',
    },
    {
      breaks: 'a collected pod is reported nowhere',
      from: 'await events.report({',
      to: 'await Promise.resolve({',
    },
    {
      breaks: 'a pod that is to go is taken for stuck at once',
      from: 'leaving !== undefined && now - leaving > STUCK_MS',
      to: 'leaving !== undefined',
    },
  ]),
  ...mutantsOf('services/dispatch/pod/in-memory-markers.ts', own, [
    {
      breaks: 'the marker of a pod that has died says that all was sent',
      from: 'if (!isJoinedName(name)) return scratch.create(name, body, options)',
      to: 'return scratch.create(name, body, options)',
    },
  ]),
  ...mutantsOf('services/dispatch/pod/in-process-bus.ts', own, [
    {
      breaks: 'what goes on after the last step never leaves the pod',
      from: 'if (!topics.includes(topic)) return outer.publish(topic, message)',
      to: '',
    },
    {
      breaks: 'a pod that is asked to stop says that it is done',
      from: "isGivenBack || waiting.length > 0 ? 'given back' : 'done'",
      to: "isGivenBack ? 'given back' : 'done'",
    },
    {
      breaks: 'quick retries within a pod count like those of the queue',
      from: 'delivery.attempt + Math.min(again, MAX_RESTARTS)',
      to: 'delivery.attempt',
    },
  ]),
]
