import { mutantsOf } from '../mutant.ts'

const durable = ['test/shared/store/durable.test.ts']
const file = ['test/shared/store/file.test.ts']
const race = ['test/shared/store/file-race.test.ts']
const gcs = ['test/shared/store/gcs.test.ts']
const damage = ['test/shared/store/gcs-damage.test.ts']
const masters = ['test/services/ingest/masters/masters.test.ts']

export default [
  ...mutantsOf('shared/store/file/create.ts', durable, [
    {
      breaks: 'an object has its name before its bytes are on the disk',
      from: '      await syncFile(file)\n    } finally {\n      await closeFile(file)\n    }\n    signal',
      to: '    } finally {\n      await closeFile(file)\n    }\n    signal',
    },
    {
      breaks: 'the name of an object is on no disk',
      from: '  await folder.sync()\n  return linked',
      to: '  return linked',
    },
    {
      breaks: 'a link that answers EEXIST after success is taken for somebody else',
      from: "if ((await freshLinks(temporary)) === 2) return 'created'",
      to: '',
    },
    {
      breaks: 'what exists with other bytes counts as the same',
      from: "? 'exists' : 'differs'",
      to: "? 'exists' : 'exists'",
      tests: ['test/shared/store/conformance.test.ts', ...durable],
    },
    {
      breaks: 'what could not be named stays as a temporary file',
      from: 'await unlink(path).catch(() => {})',
      to: '',
    },
    {
      breaks: 'the temporary name of an object stays',
      from: 'await unlink(path).catch(undefinedIfMissing)',
      to: '',
    },
    {
      breaks: 'a full disk looks well to a probe',
      from: 'await writeAll(file, Buffer.alloc(PROBE_BYTES))',
      to: '',
      tests: file,
    },
  ]),
  ...mutantsOf('services/ingest/masters/file-uploads.ts', durable, [
    {
      breaks: 'an upload has its name before its bytes are on the disk',
      from: 'await file.sync()',
      to: '',
    },
    {
      breaks: 'a master that breaks off leaves a file for ever',
      from: '        await file.close().catch(() => {})\n        await rm(path, { force: true })',
      to: '        await file.close().catch(() => {})',
    },
  ]),
  ...mutantsOf('services/ingest/masters/upload-folder.ts', durable, [
    {
      breaks: 'the name of an upload is on no disk',
      from: 'await folder.sync()',
      to: '',
    },
    {
      breaks: 'a master may have any size',
      from: 'if (at + chunk.length > mostBytes) throw tooLarge(mostBytes)',
      to: '',
      tests: masters,
    },
  ]),
  ...mutantsOf('services/ingest/masters/resumable-uploads.ts', masters, [
    {
      breaks: 'a finished upload is appended to through its second name',
      from: 'await replaceByCopy(place.root, folder, mine)',
      to: '',
    },
    {
      breaks: 'bytes that are acknowledged to a client are on no disk',
      from: 'await file.sync()',
      to: '',
      tests: durable,
    },
    {
      breaks: 'an upload whose digest is another is kept',
      from: 'sha256 !== undefined && sha256 !== found',
      to: 'false',
    },
    {
      breaks: 'a piece is put where the upload does not stand',
      from: 'if (size === offset) return undefined',
      to: 'return undefined',
    },
    {
      breaks: 'an upload is taken from a writer that is at it',
      from: 'Date.now() - found.modified.getTime() > STALE_MS',
      to: 'true',
    },
  ]),
  ...mutantsOf(
    'services/ingest/masters/cloud-uploads.ts',
    ['test/services/ingest/masters/masters-gcs.test.ts'],
    [
      {
        breaks: "a browser may not use the session: its site's origin is left out",
        from: '...(origin && { origin })',
        to: '...{}',
      },
      {
        breaks: 'bytes that are not what was announced are a master',
        from: 'if (found !== sha256) throw digestMismatch(sha256, found)',
        to: '',
      },
    ],
  ),
  ...mutantsOf('shared/store/gcs/upload.ts', gcs, [
    {
      breaks: 'an upload replaces what is there',
      from: 'query: { uploadType, name, ifGenerationMatch: 0 },',
      to: 'query: { uploadType, name },',
    },
    {
      breaks: 'the origin of a browser is not sent',
      from: '...(origin === undefined ? {} : { origin }),',
      to: '',
    },
    {
      breaks: 'an object comes to be of bytes that were damaged on the way, at once',
      from: 'const object = { name, contentType, metadata, crc32c: sum }',
      to: 'const object = { name, contentType, metadata }',
      tests: damage,
    },
    {
      breaks: 'an object comes to be of bytes that were damaged on the way, in pieces',
      from: "isLast ? { 'x-goog-hash'",
      to: "isLast ? { 'x-other-hash'",
      tests: damage,
    },
    {
      breaks: 'a 412 means that the same is there',
      from: "if (!isOurs) return 'differs'",
      to: "if (!isOurs) return 'exists'",
      tests: damage,
    },
    {
      breaks: 'our own object whose answer was lost is taken for somebody else',
      from: "isOurs || answer.status !== 412 ? 'created' : 'exists'",
      to: "answer.status !== 412 ? 'created' : 'exists'",
    },
    {
      breaks: 'a source that uses its buffer again has written its last bytes everywhere',
      from: 'held.push(body instanceof Uint8Array ? chunk : new Uint8Array(chunk))',
      to: 'held.push(chunk)',
    },
  ]),
  ...mutantsOf(
    'shared/frame/sweep.ts',
    ['test/shared/frame/sweep.test.ts'],
    [
      {
        breaks: 'a run that is under way is swept from scratch',
        from: 'if (Date.now() - modified.getTime() < ageMs) continue',
        to: '',
      },
      {
        breaks: 'the age of a run is that of its first object',
        from: 'if (known === undefined || modified > known)',
        to: 'if (known === undefined)',
      },
    ],
  ),
  ...mutantsOf(
    'shared/store/file/root.ts',
    [...file, ...race],
    [
      {
        breaks: 'a link may lead out of a store',
        from: 'real === known || real.startsWith(below(known))',
        to: 'true',
      },
    ],
  ),
  ...mutantsOf(
    'shared/frame/upstreams/watched-store.ts',
    ['test/shared/frame/breaker.test.ts'],
    [
      {
        breaks: 'that a thing is not there stops the service',
        from: 'isExpected: (error: unknown) => isExpected(error) || (isOneOfMany',
        to: 'isExpected: (error: unknown) => (isOneOfMany',
      },
      {
        breaks: 'one store that refuses stops all others',
        from: '(isOneOfMany && isRefusal(error))',
        to: 'false',
      },
      {
        breaks: 'after a failed write a look by reading is believed',
        from: "probe: kind === 'write' ? tryWriting : probe,",
        to: 'probe,',
      },
    ],
  ),
]
