import { fileURLToPath } from 'node:url'

/** The program to start instead of ffmpeg: it runs ffmpeg under limits, with the same arguments. */
export const BOUNDED_FFMPEG = fileURLToPath(new URL('bounded-ffmpeg.sh', import.meta.url))

/** The exit code of that program when there is no ffmpeg. */
export const NO_FFMPEG = 127
