import { Check } from 'typebox/value'
import { describe, expect, test } from 'vitest'
import { createCall, type User } from '../../src/call/call.ts'
import type { Operation } from '../../src/call/catalog.ts'
import { type Param, touched } from '../../src/call/param.ts'
import { decide } from '../../src/policy/decide.ts'
import { compile } from '../../src/policy/policy.ts'
import { catalogs } from '../../src/protocol/catalogs.ts'
import { evil } from '../threats/evil.ts'

const owner: User = {
  ...{ kind: 'user', id: 'u', name: 'ada', session: 's', until: 1000, from: '::1' },
  roles: ['owner'],
}
const policy = compile({ owner: { grants: [{ allow: ['*'] }] } })

const track = (uri: string) => ({ __model__: 'Track', uri })
const buried = (uri: string) => ({
  ...{
    __model__: 'Track',
    uri: 'local:track:a',
    album: { __model__: 'Album', artists: [{ __model__: 'Artist', uri }] },
  },
})
/** Every shape that an argument can have which holds an address. */
const shapes: readonly ((uri: string) => unknown)[] = [
  (uri) => uri,
  (uri) => [uri],
  (uri) => ['local:track:a', 'b', 'c', 'd', uri],
  (uri) => ({ uri: [uri] }),
  (uri) => ({ type: 'song', uri }),
  (uri) => [{ uri, name: 'a' }],
  (uri) => [{ tag: 'file', operator: '==', value: uri }],
  (uri) => [
    {
      not: {
        and: [
          { tag: 'artist', value: 'a' },
          { tag: 'base', value: uri },
        ],
      },
    },
  ],
  (uri) => ({ __model__: 'Playlist', uri: 'm3u:a.m3u8', tracks: [track('local:track:a'), buried(uri)] }),
  (uri) => [track(uri)],
  (uri) => ({ __model__: 'TlTrack', tlid: 1, track: track(uri) }),
]

/** Whether this argument is one that the row takes, and has the address in it for policy to see. */
function holds(name: string, param: Param, value: unknown, uri: string): boolean {
  try {
    return Check(param.schema, value) && (touched({ [name]: param }, { [name]: value }).uri ?? []).includes(uri)
  } catch {
    return false // another row's shape
  }
}

/** Parameters that name a kind of address and none, or what only its own grammar lets through. */
const grammar = /^(?:core\.playlists\.create|core\.playlists\.refresh) uri_scheme$/

const ways = [...catalogs].flatMap(([title, catalog]) =>
  Object.values(catalog).flatMap((row: Operation) =>
    Object.entries(row.params).flatMap(([name, param]) => (param.facet === 'uri' ? [{ title, row, name, param }] : [])),
  ),
)

describe('every way in for an address, by the catalogs', () => {
  test('there are many', () => expect(ways.length).toBeGreaterThan(45))

  test.each(ways.map((way) => [`${way.title} · ${way.row.name} ${way.name}`, way] as const))(
    '%s: nobody is led astray, not the owner',
    (_, { title, row, name, param }) => {
      // An address that the row takes; where its own grammar takes none, that is as good.
      const taken = evil.flatMap((uri) =>
        shapes.flatMap((shape) => (holds(name, param, shape(uri), uri) ? [{ uri, value: shape(uri) }] : [])),
      )
      const isStrict =
        /librespot/.test(title) || grammar.test(`${row.name} ${name}`) || /_radio seed_/.test(`${row.name} ${name}`)
      if (isStrict) return expect(taken).toEqual([])
      expect(taken.length, 'no shape of this test fits the argument').toBeGreaterThan(0)
      for (const { uri, value } of taken) {
        const origin = { id: 'r', by: owner, door: 'http', player: 'home', at: 0 } as const
        const verdict = () => {
          const decision = decide(policy, createCall(origin, { operation: row, args: { [name]: value } }))
          return decision.allowed ? 'allowed' : decision.denial.reason
        }
        // What the grammar of all operations refuses never becomes a call.
        let said: string
        try {
          said = verdict()
        } catch (error) {
          said = String(error)
        }
        expect(said, `${uri} in ${row.name}`).toMatch(/^(?:constraint|refused|not-granted|Fault: )/)
      }
    },
  )
})
