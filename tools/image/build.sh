#!/usr/bin/env bash
# Builds the image with buildah alone: no engine, no registry. Its two bases are made here, under their own names, from
# Debian's packages and the Node of this project, in a storage of their own. Then starts it (try.ts).
#   tools/image/build.sh [FOLDER [MASTER]]
# FOLDER is for the storage, about 2 GB; default: /var/tmp/trackchain-image. MASTER goes through it, else a track that
# is synthesised.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PATH="$PWD/node_modules/.bin:$PATH"
store=${1:-/var/tmp/trackchain-image}
name=trackchain:$(sed -n 's/.*"version": "\(.*\)".*/\1/p' package.json | head -n 1)

for tool in buildah debootstrap; do
  command -v "$tool" >/dev/null && continue
  echo "SKIPPED: nothing was built, for there is no $tool (apt-get install buildah debootstrap)." >&2
  exit 0
done
if [ "$(id -u)" != 0 ]; then
  echo 'SKIPPED: nothing was built, for debootstrap and chroot need root.' >&2
  exit 0
fi
mkdir -p "$store"
b() { buildah --root "$store/storage" --runroot "$store/run" --storage-driver overlay "$@"; }

# base NAME FOLDER: an image of what is in the folder.
base() {
  container=$(b from scratch)
  b add --quiet "$container" "$2" /
  b config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin --cmd /bin/sh "$container"
  b commit --quiet --rm "$container" "$1"
}

debian=docker.io/library/debian:bookworm-slim
if ! b inspect --type image "$debian" >/dev/null 2>&1; then
  echo "making $debian"
  rm -rf "$store/debian"
  debootstrap --variant=minbase bookworm "$store/debian" http://deb.debian.org/debian >"$store/debootstrap.log"
  rm -rf "$store"/debian/var/cache/apt/* "$store"/debian/var/lib/apt/lists/*
  rm -rf "$store"/debian/usr/share/{doc,man,info,locale}/*
  for suite in bookworm bookworm-updates; do
    echo "deb http://deb.debian.org/debian $suite main"
  done >"$store/debian/etc/apt/sources.list"
  echo 'deb http://deb.debian.org/debian-security bookworm-security main' >>"$store/debian/etc/apt/sources.list"
  base "$debian" "$store/debian"
  rm -rf "$store/debian"
fi

node=docker.io/library/node:24-bookworm-slim
if ! b inspect --type image "$node" >/dev/null 2>&1; then
  echo "making $node"
  container=$(b from --pull-never "$debian")
  npm=$(dirname "$(dirname "$(readlink --canonicalize "$(command -v npm)")")")
  b copy --quiet --chmod 755 "$container" node_modules/node/bin/node /usr/local/bin/node
  b copy --quiet "$container" "$npm" /usr/local/lib/node_modules/npm
  b run --isolation chroot "$container" -- ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
  # The way to the registry that this machine has. Of this base nothing but Node gets into the image.
  b copy --quiet "$container" /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
  printf 'cafile=/etc/ssl/certs/ca-certificates.crt\nregistry=%s\n' "$(npm config get registry)" >"$store/npmrc"
  b copy --quiet "$container" "$store/npmrc" /usr/local/etc/npmrc
  b commit --quiet --rm "$container" "$node"
fi

echo "building $name"
# Debian's archive is reached as this machine reaches it.
apt-config dump Acquire >"$store/apt.conf"
b bud --isolation chroot --pull-never --layers --format oci \
  --volume "$store/apt.conf:/etc/apt/apt.conf:ro" \
  --build-arg VERSION="${name#*:}" --build-arg REVISION="$(git rev-parse HEAD)" \
  --tag "$name" .

container=$(b from --pull-never "$name")
trap 'b umount "$container" >/dev/null; b rm "$container" >/dev/null' EXIT
root=$(b mount "$container")
b inspect --type image "$name" >"$store/image.json"
echo
du -sh --apparent-size "$root" | awk '{print "unpacked: " $1}'
node tools/image/try.ts "$root" "$store/image.json" ${2:+"$2"}
