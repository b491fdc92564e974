import { spawnSync } from 'node:child_process'
import { chmodSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { builtOverlay, builtWithDispatch, CANNOT_BUILD, OVERLAYS } from './overlays.ts'

/** A kubectl that prints prebuilt overlays, and records what it has to apply and to wait for. */
const KUBECTL = `#!/bin/sh
[ "$1" != kustomize ] || exec cat "$BUILT/$(basename "$2")"
echo "$@" >>"$CALLS"
[ "$1" != apply ] || cat >/dev/null
! echo "$@" | grep -q "$BROKEN"
`

if (CANNOT_BUILD !== undefined) t.plan(0, CANNOT_BUILD)
else {
  const built = t.testdir({
    ...Object.fromEntries(OVERLAYS.map((name) => [name, builtOverlay(name)])),
    dispatching: builtWithDispatch('gke'),
  })

  /** The commands of the upgrade to the cluster, in their order, until `broken` fails. */
  function upgrade(t: Test, args: readonly string[], broken = 'nothing') {
    const folder = t.testdir({ kubectl: KUBECTL, calls: '' })
    chmodSync(join(folder, 'kubectl'), 0o755)
    const { PATH } = process.env
    const { status } = spawnSync('k8s/upgrade.sh', args, {
      env: {
        PATH: `${folder}:${PATH}`,
        BUILT: built,
        CALLS: join(folder, 'calls'),
        BROKEN: broken,
      },
    })
    const calls = readFileSync(join(folder, 'calls'), 'utf8').trim().split('\n')
    return { status, calls: calls.map((line) => /=(\S+)|deployment\/\S+/.exec(line)?.[0]) }
  }

  /** The dispatcher is deleted, because it is not switched on. */
  const OFF = 'deployment/dispatch'
  const FIRST = '=!app.kubernetes.io/name'
  const LAST = '=app.kubernetes.io/name'
  const each = (...services: string[]) =>
    services.flatMap((name) => [`=app.kubernetes.io/name=${name}`, `deployment/${name}`])

  t.test(
    'the service that comes last in the chain is upgraded first, and each is awaited',
    async (t) => {
      t.same(upgrade(t, ['k8s/overlays/gke']), {
        status: 0,
        calls: [
          FIRST,
          ...each('publish', 'encode', 'analyze', 'stage'),
          OFF,
          ...each('ingest'),
          LAST,
        ],
      })
    },
  )

  t.test('the dispatcher, where there is one, is upgraded before ingest', async (t) => {
    t.same(upgrade(t, ['k8s/overlays/dispatching']), {
      status: 0,
      calls: [
        FIRST,
        ...each('publish', 'encode', 'analyze', 'stage', 'dispatch', 'ingest'),
        LAST,
      ],
    })
  })

  t.test(
    'a cluster that joins has three services; a service that is named is upgraded alone',
    async (t) => {
      t.same(upgrade(t, ['k8s/overlays/onprem']), {
        status: 0,
        calls: [FIRST, ...each('encode', 'analyze', 'stage'), OFF, LAST],
      })
      t.same(upgrade(t, ['k8s/overlays/gke', 'ingest', 'publish']), {
        status: 0,
        calls: [FIRST, ...each('publish', 'ingest'), LAST],
      })
    },
  )

  t.test('ends at the first service that does not get ready', async (t) => {
    t.same(upgrade(t, ['k8s/overlays/gke'], 'deployment/encode'), {
      status: 1,
      calls: [FIRST, ...each('publish', 'encode')],
    })
  })
}
