import { mutantsOf } from '../mutant.ts'

const links = ['test/services/ingest/links.test.ts']
const cors = ['test/services/ingest/cors.test.ts']

export default [
  ...mutantsOf('services/ingest/tracks/link-signer.ts', links, [
    {
      breaks: 'a link never expires',
      from: 'if (until <= now) {',
      to: 'if (until <= now && false) {',
    },
    {
      breaks: 'when a link expires is not signed',
      from: "const signed = [guid, revision, file, expires ?? '']",
      to: "const signed = [guid, revision, file, '']",
    },
    {
      breaks: 'whose file it is is not signed',
      from: 'JSON.stringify([FORM, ...texts])',
      to: 'JSON.stringify([FORM, ...texts.slice(1)])',
    },
    {
      breaks: 'the last key signs, which is the one that goes first',
      from: 'const [first] = keys',
      to: 'const first = keys.at(-1)',
    },
    {
      breaks: 'another text that encodes the same signature is one, too',
      from: 'const [a, b] = [Buffer.from(expected), Buffer.from(given)]',
      to: "const [a, b] = [Buffer.from(expected, 'base64url'), Buffer.from(given, 'base64url')]",
    },
  ]),
  ...mutantsOf('services/ingest/tracks/link-routes.ts', links, [
    {
      breaks: 'a parameter that was not signed is taken',
      from: 'if (Object.keys(more).length > 0)',
      to: 'if (Object.keys(more).length > 9)',
    },
  ]),
  ...mutantsOf('services/ingest/auth/cors.ts', cors, [
    {
      breaks: 'every origin is allowed',
      from: 'has: (origin) => origin !== undefined && known.has(origin),',
      to: 'has: () => true,',
    },
    {
      breaks: 'caches give one origin the answer of another',
      from: "    if (kind === 'some') {\n",
      to: "    if (kind === 'none') {\n",
    },
    {
      breaks: '* is taken where no token is needed',
      from: 'isGuarded || cors_origins.length > 1',
      to: 'true',
    },
  ]),
  ...mutantsOf('shared/frame/door.ts', cors, [
    {
      breaks: 'Referer stands for Origin everywhere',
      from: 'if (origin !== undefined || !mayEmbed || referer === undefined) return origin',
      to: 'if (origin !== undefined || referer === undefined) return origin',
    },
  ]),
]
