import t from 'tap'
import { Type as TypeBox } from 'typebox'
import { Type } from '#shared/contracts/type.ts'

/** A schema that has each builder, with options and without. */
function sample(type: typeof Type) {
  const own = { title: 'A', description: 'a' }
  const inner = type.Object(
    { a: type.String(), b: type.Optional(type.Number({ minimum: 1 })) },
    { ...own, additionalProperties: false },
  )
  return type.Object({
    array: type.Array(type.Integer({ maximum: 9 }), { minItems: 1 }),
    plain: type.Optional(type.Array(type.Boolean(own))),
    enum: type.Enum(['a', 'b'], { default: 'a' }),
    literals: type.Union([type.Literal('a'), type.Literal(7, own), type.Literal(true)]),
    nullable: type.Union([inner, type.Null(own)], own),
    all: type.Partial(inner),
    none: type.Object({ only: type.Optional(type.Null()) }),
    named: type.Record(type.String({ pattern: '^[a-z]$' }), inner, own),
    any: type.Record(type.String(), type.Unknown(own)),
    unsafe: type.Unsafe<string>({ type: 'string', ...own }),
  })
}

t.test('schemas are those of TypeBox, to the letter', async (t) => {
  const theirs = sample(TypeBox as typeof Type)
  t.equal(JSON.stringify(sample(Type), null, 1), JSON.stringify(theirs, null, 1))
})
