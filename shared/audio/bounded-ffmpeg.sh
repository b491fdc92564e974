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
exec ffmpeg "$@"
