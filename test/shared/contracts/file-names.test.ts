import t from 'tap'
import {
  cleanFileName,
  guidOfFile,
  isAudio,
  isLeftBySystem,
  namesInFile,
} from '#shared/contracts/file-names.ts'
import { ASSET_GUID_PATTERN, TEXT_PATTERN } from '#shared/contracts/names.ts'

const [one, other] = ['0123456789abcdef'.repeat(4), 'fedcba9876543210'.repeat(4)]
const slug = (name: string) => guidOfFile(name, one).replace(/-0123456789ab$/, '')

t.test('a name of any script becomes Latin letters', async (t) => {
  const names = {
    'Björk & Łódź.wav': 'Bjork-Lodz',
    'Straße Ø æ þ.flac': 'Strasse-O-ae-th',
    'Привет мир.mp3': 'Privet-mir',
    'Ελληνικά.wav': 'Ellinika',
    'שלום.wav': 'slvm',
    'مرحبا.wav': 'mrhb',
    '你好.wav': 'NiHao',
    'ひらがな カタカナ.wav': 'hiragana-katakana',
    '한국어.wav': 'HanGugEo',
    'हिन्दी.wav': 'hindi',
    'Don’t Stop.wav': 'Dont-Stop',
    '🎵.wav': 'musical-note',
  }
  for (const [name, expected] of Object.entries(names)) {
    t.equal(slug(name), expected)
    t.equal(slug(name.normalize('NFD')), expected, 'as macOS writes it')
  }
})

t.test('name and content make a guid, and nothing else does', async (t) => {
  t.equal(guidOfFile('/a/01 Intro.wav', one), guidOfFile('C:\\b\\01 Intro.WAV', one))
  t.equal(guidOfFile('a"b.wav', one), guidOfFile('a%22b.wav', one), 'as a browser sends it')
  t.not(guidOfFile('a.wav', one), guidOfFile('a.wav', other))
  t.not(guidOfFile('a.wav', one), guidOfFile('b.wav', one))
  const odd = [
    '',
    '.wav',
    '-',
    '\uE000',
    '..',
    '../..',
    '\0',
    '\ud800',
    'x'.repeat(5000),
    '½'.repeat(99),
  ]
  for (const name of odd) {
    const guid = guidOfFile(name, one)
    t.match(guid, new RegExp(ASSET_GUID_PATTERN), JSON.stringify(name.slice(0, 20)))
    t.notMatch(guid, /^track-/)
    t.ok(guid.length <= 73)
  }
})

t.test('a file is called Artist - Title, or has a title alone', async (t) => {
  const names: Record<string, [artist: string | undefined, title: string]> = {
    'Artist - Title.wav': ['Artist', 'Title'],
    '/music/Artist – Title (Original Mix).aiff': ['Artist', 'Title (Original Mix)'],
    'Artist_-_Title.wav': ['Artist', 'Title'],
    '01 Artist - Title.wav': ['Artist', 'Title'],
    '01 - Artist - Title.wav': ['Artist', 'Title'],
    '12 - Artist - Title.wav': ['Artist', 'Title'],
    '01. Artist - Title.wav': ['Artist', 'Title'],
    '[01] Artist - Title.wav': ['Artist', 'Title'],
    '1-01 Artist - Title.wav': ['Artist', 'Title'],
    'Artist - Album - 03 - Title.flac': ['Artist', 'Title'],
    '01 Intro.wav': [undefined, 'Intro'],
    '12 - Intro.wav': [undefined, 'Intro'],
    '50 Cent - In Da Club.wav': ['50 Cent', 'In Da Club'],
    '112 - Cupid.wav': ['112', 'Cupid'],
    '2 Unlimited - No Limit.mp3': ['2 Unlimited', 'No Limit'],
    '99 Problems.wav': [undefined, '99 Problems'],
    '1979.wav': [undefined, '1979'],
    '01.wav': [undefined, '01'],
    '1-800-273-8255.wav': [undefined, '1-800-273-8255'],
    '夜に駆ける.wav': [undefined, '夜に駆ける'],
  }
  for (const [file, [artist, title]] of Object.entries(names)) {
    t.same(namesInFile(file), { ...(artist === undefined ? {} : { artist }), title }, file)
  }
  t.same(namesInFile('.wav'), {})
  t.same(namesInFile('a\u202eb\u0007 - c\ud800.wav'), { artist: 'a b', title: 'c' })
})

t.test('what is audio by its name, and what a system left there', async (t) => {
  for (const name of ['a.wav', 'A.AIFF', 'x.y.opus']) t.ok(isAudio(name))
  for (const name of ['a.txt', 'wav', 'a.wav.part']) t.notOk(isAudio(name))
  for (const name of ['._x.wav', '.DS_Store', 'Thumbs.db', 'DESKTOP.INI', '__MACOSX/x.wav'])
    t.ok(isLeftBySystem(name), name)
  for (const name of ['x.wav', '.x.wav', '_x.wav', 'thumbs.wav']) t.notOk(isLeftBySystem(name))
})

t.test('a name that goes along with a job is text that anything takes', async (t) => {
  const text = new RegExp(TEXT_PATTERN, 'u')
  for (const name of ['/a/b.wav', 'a\0b\n.wav', '\ud800', '🎵'.repeat(300)]) {
    const clean = cleanFileName(name)
    t.match(clean, text)
    t.ok([...clean].length <= 255)
  }
  t.equal(cleanFileName('/a/Björk.wav'.normalize('NFD')), 'Björk.wav')
})
