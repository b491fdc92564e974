import t from 'tap'
import { inBlocks } from '../../../services/stage/formats/in-blocks.ts'
import { tagNames } from '../../../services/stage/formats/names/tag-names.ts'
import { survey } from '../../../services/stage/formats/survey.ts'
import { aiff, coded, flac, wav } from '../../support/audio.ts'
import { bytesOf, soon } from '../../support/stage.ts'
import { noise, RATE, sine } from '../../support/synth.ts'

/** What a survey and the search for tags read of a master, and what they find. */
async function looked(master: Buffer, wrap: typeof inBlocks) {
  const reads: [number, number][] = []
  const file = bytesOf(master, async (start, end) => {
    reads.push([start, end])
    return master.subarray(start, end)
  })
  const blocks = wrap(file)
  const layout = await survey(blocks, soon())
  return { reads, found: { layout, names: await tagNames(blocks, soon()) } }
}

const asItIs: typeof inBlocks = (file) => file
/** Longer than samples that are searched from end to end. */
const music = () => [sine(25 * RATE, 440), sine(25 * RATE, 997)]

t.test('a survey reads a master in few places, and finds the same there', async (t) => {
  const masters = {
    'a short WAV': { master: wav([sine(RATE, 440), sine(RATE, 997)]), most: 2 },
    'a WAV': { master: wav(music()), most: 3 },
    'a WAV of 24 bits': { master: wav(music(), { bits: 24 }), most: 3 },
    'an AIFF': { master: aiff(music()), most: 3 },
    'a FLAC': { master: await flac(wav(music())), most: 5 },
    'an MP3': { master: await coded('m.mp3', wav(music()), ['-b:a', '320k']), most: 6 },
  }
  for (const [title, { master, most }] of Object.entries(masters)) {
    const one = await looked(master, asItIs)
    const blocks = await looked(master, inBlocks)
    t.same(blocks.found, one.found, title)
    t.comment(`${title}: ${one.reads.length} reads, in blocks ${blocks.reads.length}`)
    t.ok(blocks.reads.length <= most, `${title}: ${JSON.stringify(blocks.reads)}`)
  }
})

t.test('what is held is what the master has there', async (t) => {
  const master = Buffer.from(noise(200_000).buffer)
  const file = inBlocks(bytesOf(master))
  for (let n = 0; n < 300; n++) {
    const start = (n * 48_271 * 7919) % master.length
    const end = Math.min(master.length, start + 1 + ((n * 16_807) % 200_000))
    const isSame = master.subarray(start, end).equals(await file.read(start, end))
    if (!isSame) t.fail(`${start}-${end}`)
  }
})

t.test('the beginning of a signature among samples is no other master', async (t) => {
  const master = wav([noise(RATE), noise(RATE)])
  for (const [at, mark] of [
    [9000, 'fLaC'],
    [20_000, 'OggS\0\x02\0\0'],
    [30_000, 'WAVE'],
  ] as const)
    master.write(mark, at, 'latin1')
  master.write('Ogg', master.length - 3, 'latin1')
  t.equal((await survey(bytesOf(master), soon())).warnings, undefined)
  master.write('OggS', master.length - 4, 'latin1')
  t.equal((await survey(bytesOf(master), soon())).warnings, undefined, 'nor at the very end')
  master.write('fLaC\0\0\0\x22', 50_000, 'latin1')
  t.match((await survey(bytesOf(master), soon())).warnings, [{ code: 'MORE_FOLLOWS' }])
})
