#!/bin/sh
# ffmpeg with these arguments, and limits that no input can talk it out of: no core file, no file that it could fill,
# 512 MiB of data of its own (it needs 64), ten minutes of processor time. A limit that is lower already stays.
# Limits are set by the shell because Node has no call for them, and because every POSIX shell has them.
{
  ulimit -c 0
  ulimit -f 0
  ulimit -d 524288
  ulimit -t 600
} 2>/dev/null
# On x86 only the instructions that every 64-bit processor has: with AVX or FMA the decoders of AAC and Opus and the
# resampler round otherwise, and an asset must not depend on the machine that made it.
case $(uname -m) in
  x86_64 | amd64) set -- -cpuflags mmx+mmxext+sse+sse2 "$@" ;;
esac
exec ffmpeg "$@"
