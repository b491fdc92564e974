/** ffmpeg's names of raw samples: each is a demuxer, and a decoder with the name `pcm_…`. */
const SAMPLES = [
  ...['u8', 's8', 's16le', 's16be', 's24le', 's24be', 's32le', 's32be'],
  ...['f32le', 'f64le', 'alaw', 'mulaw'],
]

/** What an ffmpeg must have for all accepted masters and all assets, by the names of its lists. */
export const FFMPEG_NEEDS = {
  encoders: ['aac', 'libmp3lame', 'flac', 'pcm_s8', 'pcm_s16le', 'pcm_s24le'],
  decoders: [
    ...['flac', 'mp3', 'mp2', 'mp1', 'aac', 'alac', 'vorbis', 'opus'],
    ...['adpcm_ms', 'adpcm_ima_wav', 'adpcm_ima_qt'],
    ...SAMPLES.map((format) => `pcm_${format}`),
  ],
  demuxers: ['flac', 'mp3', 'aac', 'mov', 'ogg', 'wav', 'aiff', ...SAMPLES],
  muxers: ['md5', 'adts', 'mp3', 'flac', 's16le', 'wav'],
  filters: ['atrim', 'adelay', 'aformat', 'pan', 'asetnsamples', 'apad', 'aresample'],
  protocols: ['pipe'],
} as const
