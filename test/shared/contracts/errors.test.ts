import t from 'tap'
import { sentence } from '#shared/contracts/errors/chain.ts'

t.test(
  'what is thrown becomes a sentence that any row, event and terminal can hold',
  async (t) => {
    const quoted = () => JSON.parse('\0\0\u001b[31m')
    t.throws(quoted, /\0/, 'its own words do not')
    const said = await Promise.resolve().then(quoted).catch(sentence)
    t.match(said, /\\u0000/)
    t.notMatch(said, /(?![\t\n])\p{Cc}/u)
    t.equal(sentence(new Error('half \ud800')), 'half \ufffd')
    t.equal(sentence('two\nlines, Łódź, 東京'), 'two\nlines, Łódź, 東京')
    const odd = { toString: () => assert(), [Symbol.toPrimitive]: () => assert() }
    t.match(sentence(odd), /nothing of itself/)
  },
)

function assert(): never {
  throw new Error('no words')
}
