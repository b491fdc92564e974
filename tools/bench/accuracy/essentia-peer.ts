// node essentia-peer.ts degara|multifeature|defaults|best WAV: prints Essentia's own result for a whole 16-bit 44.1 kHz
// stereo WAV with a 44-byte header. It runs in a process of its own, because Essentia may not return.
import { readFileSync } from 'node:fs'
import { WAV_HEADER_BYTES } from '#shared/audio/wav-part.ts'
import { essentiaAlone } from '../essentia-alone.ts'

const [method, path = ''] = process.argv.slice(2)
const bytes = readFileSync(path)
const mono = new Float32Array(Math.trunc((bytes.length - WAV_HEADER_BYTES) / 4))
for (let i = 0; i < mono.length; i++) {
  const at = WAV_HEADER_BYTES + 4 * i
  mono[i] = (bytes.readInt16LE(at) + bytes.readInt16LE(at + 2)) / 65_536
}
const { rhythm, key } = essentiaAlone()
if (method === 'defaults' || method === 'best') console.log(key(mono, method))
else if (method === 'degara' || method === 'multifeature') console.log(rhythm(mono, method))
else throw new Error(`${method} is no method`)
