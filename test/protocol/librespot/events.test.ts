import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type EventKind,
  eventCapability,
  eventNames,
  readEvent,
  writeEvent,
} from '../../../src/protocol/librespot/events.ts'
import { knownLines } from './rows.ts'

const kinds = [
  ['go-librespot', 'librespot/go-events.txt', 'type'],
  ['librespot-java', 'librespot/java-events.txt', 'event'],
] as const satisfies readonly (readonly [EventKind, string, string])[]

describe.each(kinds)('%s', (kind, path, name) => {
  const known = knownLines(path).map((line): Record<string, unknown> => JSON.parse(line))

  test('every event that is known has a row, and no row is made up', () => {
    expect(eventNames(kind)).toEqual(known.map((message) => message[name]))
  })

  test.each(known.map((message) => [String(message[name]), message] as const))(
    '%s is heard, and read',
    (type, message) => {
      expect(eventCapability(kind, type)).toBe('status.read')
      const event = readEvent(kind, message)
      expect(event?.type).toBe(type)
      expect(readEvent(kind, JSON.parse(writeEvent(kind, event ?? { type: '' })))).toEqual(event)
    },
  )

  test('one that is not known is heard by nobody', () => {
    for (const type of ['', 'constructor', '__proto__', 'token', 'toString']) {
      expect(eventCapability(kind, type)).toBeUndefined()
      expect(readEvent(kind, { [name]: type, data: {} })).toBeUndefined()
    }
  })

  test('whatever comes, nothing is thrown', () => {
    const types = fc.constantFrom(...eventNames(kind))
    const message = fc.oneof(
      fc.jsonValue(),
      fc.record({ type: types, event: types, data: fc.jsonValue(), track: fc.jsonValue(), uri: fc.jsonValue() }),
    )
    fc.assert(fc.property(message, (value) => void readEvent(kind, value)))
  })
})

test('whose session it is, which files are played and what went wrong inside stays there', () => {
  const wire = [...knownLines('librespot/java-events.txt'), ...knownLines('librespot/go-events.txt')]
    .map((line) => JSON.parse(line))
    .map((message) => readEvent('event' in message ? 'librespot-java' : 'go-librespot', message))
  const text = JSON.stringify(wire)
  for (const secret of ['whose', 'secret', 'jar']) expect(text).not.toContain(secret)
})

test.each([
  ['go-librespot', { type: 'volume', data: { value: '5', max: 100 } }],
  ['go-librespot', { type: 'volume' }],
  ['go-librespot', { type: 'metadata', data: null }],
  ['go-librespot', { type: ['volume'], data: { value: 5, max: 100 } }],
  ['librespot-java', { event: 'volumeChanged', value: 2 }],
  ['librespot-java', { event: 'trackChanged' }],
  ['librespot-java', []],
] as const)('%#: %s: an event of another shape is none', (kind, value) =>
  expect(readEvent(kind, value)).toBeUndefined(),
)
