import Type from 'typebox'
import { describe, expect, test } from 'vitest'
import { createCall } from '../../src/call/call.ts'
import { catalog, op, refuse } from '../../src/call/catalog.ts'
import { many, optional, param, refusedParam } from '../../src/call/param.ts'

const uri = param(Type.String(), 'uri')
const table = catalog('mpd', {
  add: op(
    'queue.add',
    { uri, others: many(uri), deep: optional(param(Type.Object({ uri: Type.String() }), 'uri', (v) => [v.uri])) },
    { streams: 1 },
  ),
  play: op('playback.control', { position: optional(param(Type.Integer())) }, {}, { position: 'playback.skip' }),
  odd: op('status.read', { old: refusedParam(Type.String(), 'it is old') }),
  config: refuse('server.admin', 'not over the wire'),
})
const origin = { id: 'r', by: { kind: 'anonymous', from: '::1' }, door: 'mpd', player: 'home', at: 0 } as const

describe('a call', () => {
  test('shows what all of its arguments touch', () => {
    const args = { uri: 'a:1', others: ['b:2', 'c:3'], deep: { uri: 'd:4' } }
    expect(createCall(origin, { operation: table.add, args }).touches.uri).toEqual(['a:1', 'b:2', 'c:3', 'd:4'])
  })

  test('with an address that breaks the grammar is none', () => {
    const args = { uri: 'a:1', others: ['local:track:%2e%2e/x'] }
    expect(() => createCall(origin, { operation: table.add, args })).toThrow('not an acceptable URI')
  })

  test('keeps to the bound of network addresses', () => {
    const of = (others: string[]) => () =>
      createCall(origin, { operation: table.add, args: { uri: 'http://a/', others } })
    expect(of(['local:x'])).not.toThrow()
    expect(of(['https://b/'])).toThrow('at most 1')
  })

  test('takes another capability when a parameter is given, and null is not giving it', () => {
    const of = (args: object) => createCall(origin, { operation: table.play, args: { ...args } }).capability
    expect(of({})).toBe('playback.control')
    expect(of({ position: null })).toBe('playback.control')
    expect(of({ position: 0 })).toBe('playback.skip')
  })

  test('says why it is refused, by row or by parameter', () => {
    expect(createCall(origin, { operation: table.config, args: {} }).refused).toBe('not over the wire')
    expect(createCall(origin, { operation: table.odd, args: { old: 'x' } }).refused).toBe('it is old')
    expect(createCall(origin, { operation: table.odd, args: { old: null } }).refused).toBeUndefined()
  })
})

test('a catalog knows its rows and nothing that objects bring along', () => {
  const rows: Readonly<Record<string, unknown>> = table
  for (const name of ['constructor', '__proto__', 'toString', 'hasOwnProperty']) expect(rows[name]).toBeUndefined()
  expect(table.add).toMatchObject({ protocol: 'mpd', name: 'add' })
  expect(Object.isFrozen(table) && Object.isFrozen(table.add)).toBe(true)
})
