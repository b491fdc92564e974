import { execFileSync } from 'node:child_process'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { gzipSync } from 'node:zlib'
import { wav } from '../audio.ts'
import { noise, sine } from '../synth.ts'
import { hostileCoded } from './hostile-coded.ts'
import { hostilePcm } from './hostile-pcm.ts'
import { accepted, type Row, refused } from './hostile-verdict.ts'

const N = 441
const base = wav([sine(N, 997)])

/** Odd and hostile masters with their verdicts: docs/reference/masters.md in examples. */
export async function hostileMasters(): Promise<Row[]> {
  return [...hostilePcm(), ...(await hostileCoded()), ...strangers(), ...places()]
}

function strangers(): Row[] {
  const random = Buffer.from(noise(65_536, { seed: 99 }).map((x) => x * 127))
  random[0] = 0x7e
  const plain = (text: string) => Buffer.from(text)
  return [
    ['an empty file', Buffer.alloc(0), refused(/empty/)],
    ['one byte', Buffer.from([0]), refused(/./)],
    ['64 kB of zeros', Buffer.alloc(65_536), refused(/nothing but zeros/)],
    ['64 kB at random', random, refused(/known here/)],
    [
      'a playlist',
      plain('#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n'),
      refused(/playlist/),
    ],
    [
      'a playlist of the web',
      plain(
        '#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="http://169.254.169.254/"\nhttp://169.254.169.254/x.ts\n',
      ),
      refused(/playlist/),
    ],
    [
      'a playlist of another kind',
      plain('[playlist]\nFile1=/etc/passwd\nNumberOfEntries=1\n'),
      refused(/text/),
    ],
    [
      'a concat script',
      plain("ffconcat version 1.0\nfile '/etc/passwd'\nfile 'concat:/etc/hosts|/etc/passwd'\n"),
      refused(/ffconcat/),
    ],
    [
      'a session description',
      plain(
        'v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 96\n',
      ),
      refused(/text/),
    ],
    [
      'a DASH manifest',
      plain('<MPD><BaseURL>file:///etc/passwd</BaseURL></MPD>'),
      refused(/HTML or XML/),
    ],
    [
      'SVG',
      plain('<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'),
      refused(/HTML or XML/),
    ],
    ['HTML with a WAV in it', Buffer.concat([plain('<html><!--'), base]), refused(/HTML/)],
    ['a shell script', plain('#!/bin/sh\nrm -rf "$HOME"\n'), refused(/text/)],
    [
      'a program',
      Buffer.concat([Buffer.from('7f454c460201010000000000', 'hex'), Buffer.alloc(500)]),
      refused(/known here/),
    ],
    ['a ZIP', Buffer.concat([plain('PK\x03\x04'), Buffer.alloc(500)]), refused(/ZIP/)],
    [
      'gzip of 100 MB of zeros',
      gzipSync(Buffer.alloc(100_000_000), { level: 1 }),
      refused(/gzip/),
    ],
    ['gzip of a WAV', gzipSync(base), refused(/gzip/)],
    [
      'Matroska',
      Buffer.concat([Buffer.from('1a45dfa3a3', 'hex'), Buffer.alloc(500, 'matroska')]),
      refused(/Matroska/),
    ],
    ['Wave64', Buffer.concat([plain('riff'), Buffer.alloc(500)]), refused(/Wave64/)],
    [
      'AVI',
      Buffer.concat([plain('RIFF\0\0\0\x10AVI LIST'), Buffer.alloc(500)]),
      refused(/form "AVI "/),
    ],
    [
      'RIFX with the sizes of RIFF',
      Buffer.concat([plain('RIFX'), base.subarray(4)]),
      refused(/"fmt " claims 268435456 bytes/),
    ],
  ]
}

/** What may lie where a master should. */
function places(): Row[] {
  return [
    [
      'a link to a file elsewhere',
      (path) => symlink('/etc/passwd', path),
      refused(/^a symbolic link leads out of its store$/, 'MASTER_OUT_OF_BOUNDS'),
    ],
    [
      'a link to a device',
      (path) => symlink('/dev/zero', path),
      refused(/^a symbolic link leads out of its store$/, 'MASTER_OUT_OF_BOUNDS'),
    ],
    [
      'a link to a neighbour',
      async (path) => {
        await writeFile(`${path}.real`, base)
        await symlink(`${path}.real`, path)
      },
      accepted(N),
    ],
    [
      'a pipe that nobody writes to',
      async (path) => void execFileSync('mkfifo', [path]),
      refused(/^a FIFO lies where a regular file should be$/),
    ],
    ['a folder', async (path) => void (await mkdir(path)), refused(/^a directory lies where/)],
  ]
}
