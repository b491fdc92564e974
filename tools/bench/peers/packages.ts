import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ownPackages } from '../../local/own-packages.ts'

/** How long npm may take, ms. */
const INSTALL_MS = 200_000

/** Installs the queues that the chain is compared with, unless they are there. @throws when they cannot be had */
export function installPeers(): Promise<string> {
  return ownPackages(join(import.meta.dirname, 'packages'), 'peers', { timeoutMs: INSTALL_MS })
}

/** A package that `installPeers` has installed. */
export async function peerModule<Module>(name: string): Promise<Module> {
  const { resolve } = createRequire(join(await installPeers(), 'package.json'))
  return import(pathToFileURL(resolve(name)).href)
}
