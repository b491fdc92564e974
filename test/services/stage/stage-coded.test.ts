import { writeFile } from 'node:fs/promises'
import t from 'tap'
import { coded, codedAs, ffmpeg, wav } from '../../support/audio.ts'
import { snr } from '../../support/decoded.ts'
import { scaled, stage } from '../../support/stage.ts'
import { club, RATE, silence } from '../../support/synth.ts'

t.test('compressed masters come through as long as they were, and in time', async (t) => {
  const [left, right] = club(3 * RATE)
  const music = wav([left, right])
  const cases = [
    ['a.mp3', ['-b:a', '320k'], 0, 25],
    ['a.m4a', ['-b:a', '256k'], 1023, 20],
    ['b.m4a', ['-b:a', '256k', '-movflags', 'faststart'], 1023, 20],
    ['c.m4a', ['-c:a', 'alac'], 0, 80],
    ['a.ogg', ['-c:a', 'libvorbis', '-q:a', '8'], 0, 20],
    ['b.ogg', ['-c:a', 'libopus', '-b:a', '256k'], 0, 15],
    ['c.oga', ['-c:a', 'flac'], 0, 80],
    ['a.wav', ['-c:a', 'adpcm_ms'], 2048, 25],
    ['b.wav', ['-c:a', 'pcm_mulaw'], 0, 30],
    ['a.aifc', ['-c:a', 'adpcm_ima_qt'], 64, 25],
  ] as const
  const files = await codedAs(music, [...cases, ['a.aac', ['-b:a', '256k']]])
  for (const [n, [name, args, padding, dB]] of cases.entries()) {
    const { samples, left: got } = await stage(files[n] as Buffer)
    const more = samples - 3 * RATE
    t.ok(more >= 0 && more <= padding, `${name} ${args.join(' ')}: ${more} samples more`)
    const fidelity = snr(scaled(left), got, { from: 5000, to: 130_000 })
    t.ok(fidelity > dB, `${name} ${args.join(' ')}: ${fidelity.toFixed(1)} dB`)
  }
  const adts = await stage(files.at(-1) as Buffer)
  const late = 1024
  t.ok(snr(scaled(left), adts.left.subarray(late), { from: 5000, to: 130_000 }) > 20)
  t.comment(`ADTS says nothing of its delay: ${adts.samples - 3 * RATE} samples more`)
})

t.test('a compressed master with a picture in it is music all the same', async (t) => {
  const music = wav(club(RATE))
  const picture = await ffmpeg([
    '-f',
    'lavfi',
    '-i',
    'color=red:s=300x300',
    '-frames:v',
    '1',
    '-f',
    'image2',
    '-c:v',
    'png',
    'pipe:1',
  ])
  const folder = t.testdir({})
  const path = `${folder}/cover.png`
  await writeFile(path, picture)
  const cover = [
    '-i',
    path,
    '-map',
    '0',
    '-map',
    '1',
    '-c:v',
    'copy',
    '-disposition:v',
    'attached_pic',
  ]
  for (const name of ['a.mp3', 'a.m4a', 'a.flac']) {
    const { samples } = await stage(await coded(name, music, cover))
    t.ok(samples >= RATE && samples < RATE + 1024, `${name}: ${samples} samples`)
  }
})

t.test('a compressed master that is cut short or damaged has its verdict', async (t) => {
  const music = wav(club(5 * RATE))
  const half = (file: Buffer) => file.subarray(0, file.length >> 1)
  // A format without a length of its own has the length of its content.
  const formats = [
    ['a.mp3', []],
    ['a.aac', []],
    ['a.ogg', ['-c:a', 'libvorbis']],
    ['a.wav', ['-c:a', 'adpcm_ms']],
    ['a.m4a', ['-movflags', 'faststart']],
    ['b.m4a', []],
  ] as const
  const files = await codedAs(music, formats)
  for (const [n, [name]] of formats.slice(0, -1).entries()) {
    const { samples } = await stage(half(files[n] as Buffer))
    t.ok(samples > 1.5 * RATE && samples < 3.5 * RATE, `${name}: ${samples} samples`)
  }
  await t.rejects(
    stage(half(files.at(-1) as Buffer)),
    { code: 'MASTER_UNREADABLE', message: /cut short/ },
    'without its index',
  )
  const noise = Buffer.concat([(files[0] as Buffer).subarray(0, 3000), Buffer.alloc(9e4, 0x55)])
  const { samples } = await stage(noise)
  t.ok(samples < 10 * 1152, 'what is no MP3 behind the first frames is left out')
  const two = [RATE, 48_000].map((rate) => wav(club(rate, { rate }), { rate }))
  const joined = await Promise.all(
    two.map((file) => coded('a.mp3', file, ['-write_xing', '0'])),
  )
  await t.rejects(
    stage(Buffer.concat(joined)),
    { code: 'MASTER_UNREADABLE' },
    'a stream whose rate changes on the way',
  )
})

t.test('a compressed master beyond the limit is refused', async (t) => {
  const endless = await coded('a.mp3', wav([silence(20 * RATE)]), ['-write_xing', '0'])
  let most = 0
  await t.rejects(stage(endless, { mostSamples: 10 * RATE, write: async () => void most++ }), {
    code: 'TOO_LONG_TO_STAGE',
    message: /MP3 .* that goes on after 0\.2 min, which is the limit/,
  })
  t.ok(most <= 1, 'and not decoded much further')
  t.ok((await stage(endless, { mostSamples: 30 * RATE })).samples > 20 * RATE)
})
