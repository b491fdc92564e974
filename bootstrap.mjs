// Makes a bare machine fit for the project: npm packages (Node 24 among them), ffmpeg, and what else is
// named on the command line.
// Runs on the Node that npm happens to run on, before anything is installed: built-ins only, old syntax.
import { spawnSync } from 'node:child_process'
import { accessSync, constants, readFileSync, statSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

const OLDEST_NODE = 20
/** Debian's packages, where they have other names than the programs. */
const PACKAGES = { ps: 'procps', promtool: 'prometheus', 'redis-check-rdb': 'redis-tools' }
/**
 * What some tests want and can do without: installed where that needs no password, else the tests skip
 * what wants it and say so. CI must not skip it, so there it is needed like all else.
 */
const OPTIONAL = ['strace', 'chromium', 'promtool', 'flac', 'redis-check-rdb']
/** Taken out of its package without being installed, because the package would start a server. */
const UNPACKED = ['promtool']
const ROOT = dirname(fileURLToPath(import.meta.url))
const BIN = join(ROOT, 'node_modules', '.bin')

checkNode()
installPackages()
installPrograms(['ffmpeg', ...process.argv.slice(2)])

function checkNode() {
  const major = Number(process.versions.node.split('.')[0])
  if (major >= OLDEST_NODE) return
  fail(
    `This needs Node ${OLDEST_NODE} or newer to start with; ${process.execPath} is ${process.version}.`,
    'Install a newer one from nodejs.org or your package manager, and run this again.',
  )
}

function installPackages() {
  if (packagesAreThere()) return
  const args = ['ci', '--loglevel=error', '--no-audit', '--no-fund', '--no-update-notifier']
  // Node 24 comes as a package: its engine field and its install script must not be in the way.
  args.push('--engine-strict=false', '--ignore-scripts=false', '--include=dev')
  const npm = process.env.npm_execpath
  const [command, ...before] = npm ? [process.execPath, npm] : ['npm']
  run('installing npm packages (Node 24 among them)', command, [...before, ...args])
  if (packagesAreThere()) return
  fail(
    'npm ci ended without a fault, yet node_modules is not complete.',
    'Remove the folder node_modules and run this again.',
  )
}

/** npm writes its own lockfile last of all: half an install has none, an old one has other versions. */
function packagesAreThere() {
  const wanted = lockfile('package-lock.json')
  const installed = lockfile(join('node_modules', '.package-lock.json'))
  if (!wanted || !installed || !isProgram(join(BIN, 'node'))) {
    return false
  }
  return Object.entries(wanted).every(([path, { version, optional }]) => {
    if (path === '' || (optional && !installed[path])) return true
    return installed[path] && installed[path].version === version
  })
}

function lockfile(path) {
  try {
    return JSON.parse(readFileSync(join(ROOT, path), 'utf8')).packages
  } catch {
    return undefined
  }
}

/** Installs what of these programs is not there, by the packages of this machine. */
function installPrograms(programs) {
  const missing = programs.filter((program) => !find(program))
  const isOptional = (program) => !process.env.CI && OPTIONAL.includes(program)
  const needed = missing.filter((program) => !isOptional(program))
  if (missing.length === 0) return
  const isRoot = process.getuid && process.getuid() === 0
  const mayInstall =
    isRoot || spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0
  if (needed.length > 0) {
    const names = needed.join(', ')
    if (!find('apt-get')) {
      const how =
        process.platform === 'darwin'
          ? `brew install ${needed.join(' ')}`
          : 'your package manager'
      fail(`Not installed: ${names}.`, `Install it (${how}), and run this again.`)
    }
    if (!mayInstall) {
      fail(
        `Not installed: ${names}; and installing needs a password.`,
        `Run  sudo apt-get install ${packagesOf(needed).join(' ')}  and then this again.`,
      )
    }
  }
  if (!find('apt-get') || !mayInstall) {
    process.stderr.write(`trackchain: not installed, and not needed: ${missing.join(', ')}\n`)
    return
  }
  const apt = (...args) => {
    const options = ['-o', 'DPkg::Lock::Timeout=120', '-o', 'Acquire::Retries=3']
    const command = ['env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', ...options, ...args]
    return isRoot ? command : ['sudo', '-n', ...command]
  }
  // What is not needed must not keep the rest from being installed: it comes by itself.
  const groups = [needed, ...missing.filter(isOptional).map((program) => [program])]
  for (const group of groups) installGroup(group, apt, isOptional)
  const still = missing.filter((program) => !find(program))
  if (still.some((program) => !isOptional(program)))
    fail(`apt-get ended without a fault, yet there is no ${still.join(', ')}.`)
  if (still.length > 0)
    process.stderr.write(
      `trackchain: not to be had here, and not needed: ${still.join(', ')}\n`,
    )
}

function installGroup(group, apt, isOptional) {
  const whole = group.filter((program) => !UNPACKED.includes(program))
  const commands = group.filter((program) => UNPACKED.includes(program)).map(unpack)
  if (whole.length > 0) {
    const options = ['--yes', '--quiet', '--no-install-recommends']
    commands.unshift(apt('install', ...options, ...packagesOf(whole)))
  }
  // A fresh machine has no package lists, or ones whose files are gone from the mirrors.
  const update = apt('update', '--quiet')
  for (const [command, ...args] of commands) {
    const what = `installing ${group.join(', ')} (apt-get)`
    const again = group.every(isOptional) ? () => {} : undefined
    run(what, command, args, () => {
      run('fetching the package lists (apt-get update)', update[0], update.slice(1), again)
      run(what, command, args, again)
    })
  }
}

function packagesOf(programs) {
  return programs.map((program) => PACKAGES[program] || program)
}

/** The command that takes one program out of its package, to where npm's scripts find it. */
function unpack(program) {
  const script = `set -e
    folder=$(mktemp -d)
    trap 'rm -r "$folder"' EXIT
    cd "$folder"
    apt-get download --quiet "$1"
    dpkg-deb --extract ./*.deb .
    mv "usr/bin/$2" "$3"`
  return ['sh', '-c', script, 'sh', ...packagesOf([program]), program, BIN]
}

/** Says what it does in one line; what the command prints is shown only when it fails. */
function run(what, command, args, otherwise) {
  const started = Date.now()
  process.stderr.write(`trackchain: ${what} … `)
  const { status, signal, error, stdout, stderr } = spawnSync(command, args, {
    cwd: ROOT,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  if (status === 0) {
    process.stderr.write(`${((Date.now() - started) / 1000).toFixed(0)} s\n`)
    return
  }
  if (otherwise && status !== null) {
    process.stderr.write('not yet\n')
    otherwise()
    return
  }
  process.stderr.write('failed\n\n')
  const said = `${stdout || ''}${stderr || ''}`.trim()
  fail(
    said,
    `${command} ${args.join(' ')}: ${error ? error.message : signal || `exit code ${status}`}`,
  )
}

function find(program) {
  return [BIN, ...(process.env.PATH || '').split(delimiter)].some(
    (folder) => folder !== '' && isProgram(join(folder, program)),
  )
}

function isProgram(path) {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

function fail(...lines) {
  process.stderr.write(`${lines.filter((line) => line !== '').join('\n')}\n`)
  process.exit(1)
}
