# syntax=docker/dockerfile:1
# One image for all services, with the service as its argument: `docker run trackchain services/encode/main.ts`.
# An image each would share all but a megabyte of its layers (Node, ffmpeg, packages), so that a node that runs several
# services would pull no less; one image is there already when a pod of another service comes, has one SBOM to scan, and
# a job that is rolled out is one digest.
#
# Debian 12 in both stages: its ffmpeg is the one whose output the versions of the assets stand for.
ARG NODE=docker.io/library/node:24-bookworm-slim
ARG DEBIAN=docker.io/library/debian:bookworm-slim

FROM ${NODE} AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Optional is PostgreSQL itself, for one machine. Types, source maps and a package's own test reports are of no use to
# who runs it.
RUN npm ci --omit=dev --omit=optional --ignore-scripts --no-audit --no-fund \
 && npm sbom --package-lock-only --sbom-format=cyclonedx --sbom-type=application --omit=dev --omit=optional > sbom.cdx.json \
 && find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' \) -delete \
 && rm -r node_modules/.package-lock.json node_modules/fluent-ffmpeg/coverage

FROM ${DEBIAN}
# ffmpeg, and all security updates of the day. What Debian adds to show video on a screen (Mesa, with LLVM a third of
# all) is loaded only when asked for, which nobody does: removed, and the package database says so.
RUN apt-get update -q \
 && DEBIAN_FRONTEND=noninteractive apt-get upgrade -qy \
 && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends ffmpeg \
 && dpkg --purge --force-depends libgl1-mesa-dri libllvm15 libz3-4 libglx-mesa0 \
 && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/* /usr/share/doc/* /usr/share/man/* \
 && ffmpeg -hide_banner -version
COPY --from=packages /usr/local/bin/node /usr/local/bin/node
WORKDIR /app
COPY --from=packages /app/node_modules node_modules
COPY --from=packages /app/sbom.cdx.json ./
COPY package.json LICENSE ./
COPY k8s/ask.ts k8s/
COPY shared shared
COPY services services
COPY tools tools
ENV NODE_ENV=production NODE_COMPILE_CACHE=/app/.compiled
# V8's compiled code of all modules, for this very user: each service is started, finds no settings, and ends.
RUN install -d -o 10001 -g 10001 .compiled \
 && for main in services/*/main.ts services/dispatch/pod/main.ts; do \
      setpriv --reuid=10001 --regid=10001 --clear-groups node "$main" >/dev/null || true; \
    done \
 && chown -R 0:0 .compiled \
 && ls .compiled | grep -q .
USER 10001:10001
ENTRYPOINT ["/usr/local/bin/node"]
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Trackchain" \
      org.opencontainers.image.description="A music catalogue's masters into derivative assets, step by step over Pub/Sub" \
      org.opencontainers.image.licenses="AGPL-3.0-or-later" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="docker.io/library/debian:bookworm-slim"
