/** The worker of the pool. It collects its garbage as each track begins, so that what is still there is held. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { parentPort } from 'node:worker_threads'
import '../../../services/analyze/worker.ts'
import type { Question } from '../../../services/analyze/worker.ts'

setFlagsFromString('--expose-gc')
const collect: () => void = runInNewContext('gc')
parentPort?.on('message', ({ operation }: Question) => {
  if (operation === 'listen') collect()
})
