#!/usr/bin/env node
// `npx trackchain …` from a clone. It runs on whatever Node there is, so old syntax and built-ins only; the program
// itself runs on the Node that is installed as a package.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

const folder = dirname(fileURLToPath(import.meta.url))
const node = join(folder, '..', '..', 'node_modules', '.bin', 'node')
if (!existsSync(node)) {
  process.stderr.write(`${node} is not there. Run  npm ci  in the clone first.\n`)
  process.exit(1)
}
const child = spawn(node, [join(folder, 'cli.ts'), ...process.argv.slice(2)], {
  stdio: 'inherit',
})
// A terminal sends a Ctrl-C to both; the program decides what it means.
process.on('SIGINT', () => {})
for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
child.on('error', (error) => {
  process.stderr.write(`${error.message}\n`)
  process.exit(1)
})
child.on('exit', (code, signal) => process.exit(signal === null ? code : 1))
