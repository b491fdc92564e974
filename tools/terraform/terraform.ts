import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { serveSchema } from './provider.ts'
import { readSchema } from './schema.ts'

interface Ran {
  readonly code: number
  /** Its whole output. */
  readonly said: string
}

/** The terraform CLI of this machine, with the stand-in for Google's provider. It uses no network. */
interface Terraform {
  run(folder: string, ...args: readonly string[]): Promise<Ran>
  close(): void
}

/** The version of the installed terraform; undefined without one. */
export function terraformVersion(): string | undefined {
  const { status, stdout } = spawnSync('terraform', ['version', '-json'], {
    encoding: 'utf8',
    env: { ...process.env, TF_CLI_CONFIG_FILE: '/dev/null', CHECKPOINT_DISABLE: '1' },
  })
  return status === 0 ? JSON.parse(stdout).terraform_version : undefined
}

export async function openTerraform(): Promise<Terraform> {
  const provider = await serveSchema(readSchema())
  const own = mkdtempSync(join(tmpdir(), 'trackchain-terraform-'))
  const settings = join(own, 'terraformrc')
  writeFileSync(settings, '')
  const env = {
    ...process.env,
    TF_CLI_CONFIG_FILE: settings,
    TF_REATTACH_PROVIDERS: provider.reattach,
    TF_IN_AUTOMATION: '1',
    CHECKPOINT_DISABLE: '1',
    // By Go's default of 100, collecting garbage takes a third of the core time.
    GOGC: '400',
  }
  return {
    async run(folder, ...args) {
      const terraform = spawn('terraform', args, {
        cwd: folder,
        // A folder for each run: runs may be concurrent.
        env: { ...env, TF_DATA_DIR: mkdtempSync(join(own, 'data-')) },
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      const ended = new Promise<number>((resolve, reject) => {
        terraform.on('error', reject)
        terraform.on('close', (code) => resolve(code ?? 1))
      })
      const [code, out, error] = await Promise.all([
        ended,
        text(terraform.stdout),
        text(terraform.stderr),
      ])
      return { code, said: `${out}${error}` }
    },
    close() {
      provider.close()
      rmSync(own, { recursive: true, force: true })
    },
  }
}
