// node essentia-peer.ts degara|multifeature|key WAV: what Essentia alone makes of a whole 16-bit 44.1 kHz stereo
// WAV with a 44-byte header, with its defaults. A process of its own, because it may never return.
import { readFileSync } from 'node:fs'
// @ts-expect-error: the package ships no types for its builds
import Core from 'essentia.js/dist/essentia.js-core.umd.js'
// @ts-expect-error: as above
import wasm from 'essentia.js/dist/essentia-wasm.umd.js'
import { WAV_HEADER_BYTES } from '#shared/audio/wav-part.ts'

const [method, path = ''] = process.argv.slice(2)
const bytes = readFileSync(path)
const mono = new Float32Array(Math.trunc((bytes.length - WAV_HEADER_BYTES) / 4))
for (let i = 0; i < mono.length; i++) {
  const at = WAV_HEADER_BYTES + 4 * i
  mono[i] = (bytes.readInt16LE(at) + bytes.readInt16LE(at + 2)) / 65_536
}
const essentia = new Core(wasm)
const signal = essentia.arrayToVector(mono)
if (method === 'key') {
  const { key, scale } = essentia.KeyExtractor(signal)
  console.log(`${key} ${scale}`)
} else {
  console.log(essentia.RhythmExtractor2013(signal, 208, method, 40).bpm)
}
