import t from 'tap'
import { PermanentError } from '#shared/contracts/errors/chain.ts'
import { CoreTime } from '#shared/frame/telemetry/cpu-time.ts'
import type { MasterBytes } from '../../../services/stage/formats/byte-window.ts'
import { survey } from '../../../services/stage/formats/survey.ts'
import { stageMaster } from '../../../services/stage/resample/whole-master.ts'
import { coded, wav } from '../../support/audio.ts'
import { pagesOf, withChecksum } from '../../support/masters/ogg.ts'
import { slowMasters } from '../../support/masters/slow-masters.ts'
import { patient, timeLimit } from '../../support/patience.ts'
import { bytesOf } from '../../support/stage.ts'
import { sine } from '../../support/synth.ts'

t.setTimeout(patient(900_000))

/** How often a byte of a master may be read: by headers, by the search for them, by a decoder, and once more. */
const MAX_LOOKS = 6
/** Limit for the CPU time of this process, ms: a multiple of what is needed. */
const MAX_CPU_MS = 4000

t.test('what is made to be slow, of any format, is looked at a few times only', async (t) => {
  for (const [what, master] of Object.entries(await slowMasters())) {
    let looked = 0
    const file: MasterBytes = {
      bytes: master.length,
      async read(start, end) {
        looked += end - start
        await new Promise(setImmediate)
        return master.subarray(start, end)
      },
      async *stream(start, end) {
        for (let at = start; at < end; at += 1 << 16) {
          const to = Math.min(end, at + (1 << 16))
          looked += to - at
          await new Promise(setImmediate)
          yield master.subarray(at, to)
        }
      },
    }
    const before = process.cpuUsage()
    const signal = AbortSignal.timeout(300_000)
    const verdict = await verdictOf(file, signal)
    const { user } = process.cpuUsage(before)
    t.comment(
      `${what}: ${Math.round(user / 1000)} ms, ${(looked / 1e6).toFixed(0)} MB, ${verdict}`,
    )
    t.notOk(signal.aborted, `${what}: in time`)
    t.ok(looked <= MAX_LOOKS * master.length + (16 << 20), `${what}: ${looked} bytes`)
    t.ok(user / 1000 < MAX_CPU_MS, `${what}: ${user / 1000} ms`)
  }
})

t.test(
  'frames of which none can be decoded are given up by the core time they take',
  async (t) => {
    const master = Buffer.alloc(4_000_000, Buffer.from('fff15080011ffc00', 'hex'))
    const used = new CoreTime().begin()
    const verdict = await verdictOf(bytesOf(master), timeLimit(120_000))
    t.match(verdict, /^MASTER_UNREADABLE: .*AAC.* nothing of it can be decoded/)
    // Children are looked up ten times a second.
    await new Promise((resolve) => setTimeout(resolve, 150))
    const ms = used.end()
    t.ok(ms > 1000 && ms < 7000, `${ms.toFixed(0)} ms; all of them take 11 s`)
  },
)

t.test('what is cut into more than music is, is refused before it is decoded', async (t) => {
  const short = wav([sine(2205, 440)])
  const opus = pagesOf(await coded('a.ogg', short, ['-c:a', 'libopus', '-ar', '48000']))
  const ogg = (packet: number) => {
    const [head, tags, sound] = opus as [Buffer, Buffer, Buffer]
    const lacing = Buffer.from([255, ...Array(255).fill(1)])
    const page = withChecksum(
      Buffer.concat([sound.subarray(0, 26), lacing, Buffer.alloc(255, packet)]),
    )
    return Buffer.concat([head, tags, ...Array(2000).fill(page)])
  }
  const adpcm = await coded('a.wav', short, ['-c:a', 'adpcm_ima_wav'])
  adpcm.writeUInt16LE(8, 32)
  const mp3 = await coded('a.mp3', short, ['-ac', '1', '-b:a', '32k'])
  const m4a = await coded('a.m4a', short)
  // Packets of one byte, all in one chunk.
  const [sizes, runs] = ['stsz', 'stsc'].map((type) => m4a.indexOf(type) + 8) as [
    number,
    number,
  ]
  m4a.writeUInt32BE(1, sizes)
  m4a.writeUInt32BE(600_000, sizes + 4)
  m4a.writeUInt32BE(600_000, runs + 8)
  const files: Record<string, [Buffer, RegExp]> = {
    'Ogg of packets without end': [ogg(0xe0), /^MASTER_UNREADABLE: .* packets of 2\.1 bytes/],
    // Whatever its granule positions say.
    'Ogg of long packets': [ogg(0x18), /^TOO_LONG_TO_STAGE: /],
    'ADPCM of tiny blocks': [adpcm, /^MASTER_UNREADABLE: .* blocks of 8 bytes, 8 samples each/],
    'MP3s that were joined': [
      Buffer.concat(Array(1002).fill(mp3)),
      /^MASTER_UNREADABLE: .* more than 1000 MP3s that were joined/,
    ],
    'Oggs that were joined': [
      Buffer.concat(Array(1002).fill(Buffer.concat(opus))),
      /^MASTER_UNREADABLE: .* more than 1000 streams that were joined, of 0\.05\d s each/,
    ],
    'M4A of packets without end': [m4a, /^MASTER_UNREADABLE: M4A: 600000 packets/],
  }
  for (const [what, [file, verdict]] of Object.entries(files))
    t.match(await verdictOf(bytesOf(file), timeLimit(60_000)), verdict, what)
})

/** The verdict on a master. A minute of it is enough. */
async function verdictOf(file: MasterBytes, signal: AbortSignal): Promise<string> {
  try {
    const mostSamples = 3600 * 44_100
    const layout = await survey(file, signal)
    if (layout.kind === 'pcm') return 'PCM'
    const { samples } = await stageMaster(layout, {
      ...{ file, signal, mostSamples },
      write: async () => {},
    })
    return `${samples} samples`
  } catch (error) {
    if (error instanceof PermanentError) return `${error.code}: ${error.message}`
    throw error
  }
}
