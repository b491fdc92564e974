import { createHash } from 'node:crypto'
import { defineDerivative } from '#shared/assets/definition.ts'

/** An asset that says it is dear, so that a short track is fanned out into parts and joined. */
export default defineDerivative({
  id: 'pieces',
  version: 1,
  stage: 'encode',
  title: 'A digest of each half second, for tests',
  files: { txt: 'text/plain', bin: 'application/octet-stream' },
  cost: { fixedMs: 1, msPerSecond: 130 },
  grid: 22_050,
  async part({ start, end }, { pcm }) {
    const lines: string[] = []
    for (let at = start; at < end; at += 22_050) {
      const piece = await pcm.read(at, Math.min(end, at + 22_050))
      const bytes = new Uint8Array(piece.buffer, piece.byteOffset, piece.byteLength)
      lines.push(`${at} ${createHash('sha256').update(bytes).digest('hex')}\n`)
    }
    return Buffer.from(lines.join(''))
  },
  async join(parts) {
    const all = await Array.fromAsync(parts)
    return { txt: Buffer.concat(all), bin: Buffer.from([all.length > 0 ? 1 : 0]) }
  },
})
