import { writeSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { startHeartbeat } from '#shared/frame/heartbeat.ts'
import { runService } from '#shared/frame/lifecycle.ts'
import { createLog } from '#shared/frame/telemetry/log.ts'
import { reservedFor } from './api/reserved.ts'
import { startPubsubServer } from './server.ts'

// The Pub/Sub server as a process of its own. --port N (0: any free port; it is sent to the parent process
// and logged), --host ADDRESS (127.0.0.1), --file SQLITE, --project ID: in this project the topics
// of the chain are reserved for clients with the token in TRACKCHAIN_PUBSUB_TOKEN.
const log = createLog('pubsub')

/** How long the event loop may be blocked, ms: a large journal is opened in one call. */
const STANDSTILL_MS = 60_000

await runService(log, async (lifecycle) => {
  lifecycle.onClose('heartbeat', startHeartbeat({ service: 'pubsub', limitMs: STANDSTILL_MS }))
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '8085' },
      host: { type: 'string', default: '127.0.0.1' },
      project: { type: 'string', default: '' },
      file: { type: 'string', default: 'pubsub.sqlite' },
    },
  })
  const server = await startPubsubServer({
    port: Number(values.port),
    host: values.host,
    file: values.file,
    reserved: reservedFor(values.project, process.env.TRACKCHAIN_PUBSUB_TOKEN),
    onFatal(error) {
      // Exits without a close: memory may hold more than was committed.
      try {
        writeSync(2, `the journal ${values.file} cannot be written: ${error.message}\n`)
      } catch {}
      process.exit(1)
    },
  })
  lifecycle.onClose('server', () => server.close())
  log.info({ port: server.port, host: values.host, file: values.file }, 'listening')
  process.send?.({ ready: true, port: server.port })
})
