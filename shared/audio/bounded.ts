import { fileURLToPath } from 'node:url'

/** The program to start in place of ffmpeg: itself, under limits. Takes the same arguments. */
export const BOUNDED_FFMPEG = fileURLToPath(new URL('bounded-ffmpeg.sh', import.meta.url))

/** What it exits with when there is no ffmpeg to start. */
export const NO_FFMPEG = 127
