import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createCall, type Request } from '../../src/call/call.ts'
import type { Queue, QueueEntry } from '../../src/call/known.ts'
import { afterwards } from '../../src/call/queue.ts'
import { decide } from '../../src/policy/decide.ts'
import { isTracked, mattersOf, roomFor } from '../../src/policy/matter.ts'
import { compile, type RolesConfig } from '../../src/policy/policy.ts'
import { catalogs } from '../../src/protocol/catalogs.ts'
import { decode as decodeRpc } from '../../src/protocol/jsonrpc/decode.ts'
import { mopidy } from '../../src/protocol/mopidy/catalog.ts'
import { decode as decodeMpd } from '../../src/protocol/mpd/decode.ts'
import { tokenize } from '../../src/protocol/mpd/token.ts'
import { byIds } from '../../src/protocol/queue.ts'
import { iris } from '../../src/protocol/web/iris.ts'
import { userNamed } from '../upstream/fake.ts'

const mpd = (line: string): Request => decodeMpd(tokenize(new TextEncoder().encode(line)))
const rpc = (method: string, params: unknown = {}): Request =>
  decodeRpc(mopidy, { jsonrpc: '2.0', id: 1, method: `core.tracklist.${method}`, params })

type Setting = NonNullable<NonNullable<RolesConfig[string]['grants'][number]['when']>['queue']>
const policyOf = (queue: Setting) =>
  compile({
    kid: { grants: [{ allow: ['queue.*'], when: { queue } }] },
    member: { grants: [{ allow: ['queue.*'] }] },
  })

/** @param owners of the entries with the ids 10, 11, 12 … */
const queueOf = (...owners: readonly (string | undefined)[]): Queue => ({
  entries: owners.map((owner, i) => ({ id: 10 + i, uri: `local:track:${i}`, ...(owner !== undefined && { owner }) })),
})

const callOf = (request: Request, queue?: Queue, roles: readonly string[] = ['kid']) =>
  createCall({ id: '1', by: userNamed('kim', roles), door: 'mpd', player: 'home', at: 0 }, request, queue && { queue })

function judge(setting: Setting, request: Request, queue?: Queue, roles?: readonly string[]): string {
  const decision = decide(policyOf(setting), callOf(request, queue, roles))
  if (decision.allowed) return 'allowed'
  const { denial } = decision
  return 'says' in denial ? `${denial.reason}: ${denial.says()}` : denial.reason
}

const mine = 'kim'
const own = { own: true } as const

describe('how much may be in the queue', () => {
  test('up to max, and not one more', () => {
    const add = mpd('add a.flac')
    expect(judge({ max: 3 }, add, queueOf('ada', undefined))).toBe('allowed')
    expect(judge({ max: 3 }, add, queueOf('ada', undefined, mine))).toBe('constraint: queue max 3, and 3 are in it')
  })

  test("up to so many of one person, whoever's the others are", () => {
    const add = rpc('add', { uris: ['local:track:a'] })
    expect(judge({ perPerson: 2 }, add, queueOf('ada', 'ada', 'ada', mine))).toBe('allowed')
    expect(judge({ perPerson: 2 }, add, queueOf(mine, mine))).toBe(
      'constraint: queue perPerson 2, and 2 in it are yours',
    )
  })

  test('each address counts, and no address for one', () => {
    const add = (count: number) => rpc('add', { uris: Array.from({ length: count }, (_, i) => `local:track:${i}`) })
    expect(judge({ perPerson: 3 }, add(3), queueOf())).toBe('allowed')
    expect(judge({ perPerson: 3 }, add(4), queueOf())).toMatch('perPerson 3')
    expect(judge({ max: 1 }, add(0), queueOf('ada'))).toMatch('max 1')
    expect(judge({ max: 1 }, mpd('load Party'), queueOf('ada'))).toMatch('max 1')
  })

  test('what may be theirs counts as theirs', () => {
    const queue = { entries: [{ id: 1, among: ['ada', mine] }] }
    expect(judge({ perPerson: 1 }, mpd('add a'), queue)).toMatch('perPerson 1')
    expect(judge(own, mpd('deleteid 1'), queue)).toMatch('not all of that is yours')
  })

  test('where the queue is not known nothing is added', () => {
    expect(judge({ max: 3, perPerson: 2 }, mpd('add a'))).toBe(
      'unprovable: queue max 3 perPerson 2, and what this would do cannot be known',
    )
  })

  test('what goes on adding by itself is not begun', () => {
    for (const name of ['load_more_tracks', 'change_radio'] as const) {
      const request = { operation: iris[name], args: { reset: true } }
      expect(judge({ perPerson: 5 }, request, queueOf())).toMatch('unprovable')
      expect(mattersOf(policyOf({ perPerson: 5 }), callOf(request))).toEqual([])
    }
  })

  test('own alone leaves adding free, and caps alone leave changing free', () => {
    expect(judge(own, mpd('add a'))).toBe('allowed')
    expect(judge({ max: 1 }, mpd('delete 0'))).toBe('allowed')
    expect(judge({ max: 1 }, mpd('clear'))).toBe('allowed')
  })

  test('room is what is left of the tighter of the two; without the condition there is no end to it', () => {
    const add = mpd('add a')
    const room = (setting: Setting, queue: Queue, roles?: readonly string[]) =>
      roomFor(policyOf(setting), callOf(add, queue, roles))
    expect(room({ max: 5, perPerson: 2 }, queueOf('ada'))).toBe(2)
    expect(room({ max: 5, perPerson: 2 }, queueOf('ada', 'ada', 'ada', 'ada'))).toBe(1)
    expect(room({ max: 5 }, queueOf('ada', 'ada', 'ada', 'ada', 'ada', 'ada'))).toBe(0)
    expect(room({ max: 5 }, queueOf(), ['member'])).toBe(Number.POSITIVE_INFINITY)
    expect(room({ max: 5 }, queueOf(), ['kid', 'member'])).toBe(Number.POSITIVE_INFINITY)
  })
})

describe('only what is theirs', () => {
  // 10 is Ada's, 11 and 12 are Kim's, 13 is nobody's, 14 is Kim's
  const queue = queueOf('ada', mine, mine, undefined, mine)
  const allowed = [
    ...['delete 1', 'delete 1:3', 'delete 4:', 'deleteid 12', 'move 2 0', 'move 1:3 4', 'moveid 14 0', 'swap 1 4'],
    ...['swapid 11 14', 'shuffle 1:3', 'prio 9 1 4', 'prioid 9 11 14', 'addtagid 11 Title x', 'rangeid 11 1:2'],
    ...['cleartagid 12', 'move 1 +0'],
  ]
  const refused = [
    ...['delete 0', 'delete 3', 'delete 0:2', 'delete 3:', 'delete 2:', 'delete 1:4', 'deleteid 10', 'deleteid 13'],
    ...['deleteid 99', 'delete 5', 'delete 4:9', 'move 0 1', 'move 1:4 0', 'moveid 10 2', 'swap 0 1', 'swap 1 0'],
    ...['swapid 11 10', 'shuffle', 'shuffle 0:3', 'shuffle 2:', 'prio 9 1 0', 'prioid 9 11 10', 'addtagid 10 Title x'],
    ...['rangeid 13 1:2', 'cleartagid 10', 'clear', 'swap 1 1', 'swapid 11 11', 'swap 0 0'],
  ]
  test.each(allowed)('%s goes', (line) => expect(judge(own, mpd(line), queue)).toBe('allowed'))
  test.each(refused)('%s does not', (line) => expect(judge(own, mpd(line), queue)).not.toBe('allowed'))

  const goes: [string, unknown][] = [
    ['remove', { criteria: { tlid: [11, 12] } }],
    ['remove', { criteria: { uri: ['local:track:1'] } }],
    // All must hold, so it is no more than the first
    ['remove', { criteria: { tlid: [11], uri: ['local:track:0'] } }],
    ['move', { start: 1, end: 3, to_position: 0 }],
    ['move', [1, 1, 0]],
    ['shuffle', { start: 1, end: 3 }],
  ]
  const stays: [string, unknown][] = [
    ['remove', { criteria: { tlid: [11, 10] } }],
    ['remove', { criteria: { tlid: [99] } }],
    ['remove', { criteria: { uri: ['local:track:1', 'local:track:0'] } }],
    ['remove', { criteria: { uri: ['local:track:nowhere'] } }],
    ['remove', { criteria: { name: ['A song'] } }],
    ['remove', { criteria: { name: ['A song'], genre: ['Pop'] } }],
    ['move', { start: 0, end: 2, to_position: 3 }],
    // Mopidy takes it for one entry
    ['move', [0, 0, 4]],
    ['move', [3, 3, 0]],
    ['move', { start: 1, end: 9, to_position: 0 }],
    ['shuffle', {}],
    ['shuffle', { start: 1 }],
    ['shuffle', { end: 2 }],
    // Mopidy empties the queue
    ['shuffle', { end: 0 }],
    ['shuffle', { start: null, end: 0 }],
    ['clear', {}],
  ]
  test.each(goes)('%s %j goes', (name, params) => expect(judge(own, rpc(name, params), queue)).toBe('allowed'))
  test.each(stays)('%s %j does not', (name, params) => expect(judge(own, rpc(name, params), queue)).not.toBe('allowed'))

  test('two addresses of the same song: the one that is not theirs keeps both', () => {
    const twice = {
      entries: [
        { id: 1, uri: 'local:track:x', owner: mine },
        { id: 2, uri: 'local:track:x', owner: 'ada' },
      ],
    }
    expect(judge(own, rpc('remove', { criteria: { uri: ['local:track:x'] } }), twice)).toMatch('not all of that')
  })

  test('a queue that is all theirs may be cleared, and an empty one', () => {
    expect(judge(own, mpd('clear'), queueOf(mine, mine))).toBe('allowed')
    expect(judge(own, mpd('clear'), queueOf())).toBe('allowed')
  })

  test('what shows no entry is not done', () => {
    expect(judge(own, { operation: iris.clean_queue_metadata, args: {} }, queue)).toMatch('unprovable')
    const labels = (tlids: number[]) => ({ operation: iris.add_queue_metadata, args: { tlids } })
    expect(judge(own, labels([11]), queue)).toBe('allowed')
    expect(judge(own, labels([11, 10]), queue)).toMatch('not all of that')
  })

  test('a call that names the same over and over is not looked through', () => {
    const many = { entries: Array.from({ length: 5_000 }, (_, id) => ({ id, owner: mine })) }
    expect(judge(own, mpd(`prio 1 ${'0: '.repeat(50)}`), many)).not.toBe('allowed')
  })

  test('who has the grant without the condition is free', () => {
    for (const line of [...allowed, ...refused]) expect(judge(own, mpd(line), queue, ['member'])).toBe('allowed')
    expect(mattersOf(policyOf(own), callOf(mpd('delete 0'), undefined, ['member']))).toEqual([])
  })
})

test('every row that changes the queue says which entries, or is known to say nothing and is refused', () => {
  const silent = [...catalogs.values()]
    .flatMap((catalog) => Object.values(catalog))
    .filter(({ capability, entries, refused }) => capability === 'queue.edit' && !entries && refused === undefined)
  expect(silent.map(({ name }) => name)).toEqual([
    ...[
      'POST /player/removeFromQueue',
      'clean_queue_metadata',
      'POST /iris/http/clean_queue_metadata',
      'POST /pibox/api/vote',
    ],
  ])
})

describe('commands of one list', () => {
  const setting = { max: 6, perPerson: 4, own: true } as const
  /** What is said to each, as if those before it had been done. */
  function judgeAll(lines: readonly string[], start: Queue): string[] {
    let queue = start
    return lines.map((line) => {
      const call = callOf(byIds(mpd(line), queue), queue)
      const decision = decide(policyOf(setting), call)
      queue = afterwards(queue, call)
      if (decision.allowed) return 'allowed'
      return 'says' in decision.denial ? decision.denial.reason : ''
    })
  }

  test('what is added counts together', () => {
    const start = queueOf(mine, mine)
    expect(judgeAll(['add a', 'add b', 'add c'], start)).toEqual(['allowed', 'allowed', 'constraint'])
    expect(judgeAll(['add a', 'add b', 'add c'], queueOf('ada', 'ada', 'ada', 'ada'))).toEqual([
      ...['allowed', 'allowed', 'constraint'],
    ])
  })

  test('the same place twice is two entries', () => {
    expect(judgeAll(['delete 1', 'delete 1'], queueOf('ada', mine, 'ada'))).toEqual(['allowed', 'constraint'])
    expect(judgeAll(['delete 1', 'delete 1'], queueOf('ada', mine, mine))).toEqual(['allowed', 'allowed'])
  })

  test('after something moved a place says nothing, and an id as much as before', () => {
    const start = queueOf('ada', mine, mine)
    expect(judgeAll(['swap 1 2', 'delete 1'], start)).toEqual(['allowed', 'unprovable'])
    expect(judgeAll(['move 1 0', 'delete 1'], start)).toEqual(['allowed', 'unprovable'])
    expect(judgeAll(['add a 0', 'delete 1'], start)).toEqual(['allowed', 'unprovable'])
    expect(judgeAll(['add a 0', 'deleteid 11', 'deleteid 10'], start)).toEqual(['allowed', 'allowed', 'constraint'])
    expect(judgeAll(['shuffle 1:3', 'clear'], queueOf('ada', mine, mine))).toEqual(['allowed', 'constraint'])
  })

  test('what was cleared counts no more', () => {
    expect(judgeAll(['clear', 'add a', 'add b'], queueOf(mine, mine, mine, mine))).toEqual(
      Array.from({ length: 3 }, () => 'allowed'),
    )
  })
})

describe('where everybody is heard', () => {
  const limited = { allow: ['queue.add'], when: { queue: { max: 9 } } }
  const tracked = (config: RolesConfig, line = 'add a', player = 'home') =>
    isTracked(compile(config), { ...callOf(mpd(line), undefined, ['member']), player })
  const member = { grants: [{ allow: ['*'] }] }

  test('where anybody has the condition, and nowhere else', () => {
    expect(tracked({ kid: { grants: [limited] }, member })).toBe(true)
    expect(tracked({ kid: { grants: [{ ...limited, on: ['home'] }] }, member })).toBe(true)
    expect(tracked({ kid: { grants: [{ ...limited, on: ['attic'] }] }, member })).toBe(false)
    expect(tracked({ member })).toBe(false)
  })

  test('where what comes of it counts', () => {
    expect(tracked({ kid: { grants: [], quotas: { 'queue.add': '9/1h' } }, member })).toBe(true)
    expect(tracked({ kid: { grants: [], quotas: { 'playback.skip': '9/1h' } }, member })).toBe(false)
  })

  test('whatever changes the queue, and nothing else', () => {
    const config = { kid: { grants: [limited] }, member }
    for (const line of ['add a', 'clear', 'delete 0', 'load x']) expect(tracked(config, line)).toBe(true)
    for (const line of ['status', 'next', 'playlistinfo', 'setvol 3']) expect(tracked(config, line)).toBe(false)
  })
})

describe('whatever is allowed', () => {
  const owners = fc.array(fc.constantFrom(mine, 'ada', undefined), { maxLength: 7 })
  const place = fc.integer({ min: 0, max: 8 })
  const id = fc.integer({ min: 9, max: 18 })
  const range = fc.oneof(
    place.map(String),
    place.map((from) => `${from}:`),
    fc.tuple(place, place).map(([from, more]) => `${from}:${from + more + 1}`),
  )
  const lines = fc.oneof(
    range.map((each) => `delete ${each}`),
    id.map((each) => `deleteid ${each}`),
    fc.tuple(range, place).map(([from, to]) => `move ${from} ${to}`),
    fc.tuple(id, place).map(([from, to]) => `moveid ${from} ${to}`),
    fc.tuple(place, place).map(([one, other]) => `swap ${one} ${other}`),
    fc.tuple(id, id).map(([one, other]) => `swapid ${one} ${other}`),
    fc.constant('clear'),
    fc.constant('shuffle'),
    range.map((each) => `shuffle ${each}`),
  )
  const end = fc.option(place)
  const methods = fc.oneof(
    fc.array(id, { minLength: 1, maxLength: 3 }).map((tlid) => rpc('remove', { criteria: { tlid } })),
    fc.array(place, { minLength: 1, maxLength: 3 }).map((places) => {
      return rpc('remove', { criteria: { uri: places.map((each) => `local:track:${each}`) } })
    }),
    fc.tuple(place, place, place).map(([from, to, at]) => rpc('move', [from, to, at])),
    fc.tuple(end, end).map(([from, to]) => rpc('shuffle', { start: from, end: to })),
  )

  /** As Mopidy does it, whatever the protocol; shuffling turns around. Undefined where it refuses. */
  function act(list: readonly QueueEntry[], { operation, args }: Request): readonly QueueEntry[] | undefined {
    const without = (ids: readonly unknown[]) => list.filter((entry) => !ids.includes(entry.id))
    const span = (text: unknown): [number, number] => {
      const [from = '', to] = String(text).split(':')
      return [Number(from), to === undefined ? Number(from) + 1 : to === '' ? list.length : Number(to)]
    }
    const move = (from: number, until: number, to: number) => {
      const last = from === until ? until + 1 : until
      if (from >= last || last > list.length || to > list.length) return undefined
      return list.toSpliced(from, last - from).toSpliced(to, 0, ...list.slice(from, last))
    }
    const placeOf = (id: unknown) => list.findIndex((entry) => entry.id === id)
    const swap = (one: number, other: number) => {
      const [first, second] = [list[one], list[other]]
      return first && second ? list.with(one, second).with(other, first) : undefined
    }
    switch (operation.name) {
      case 'clear':
        return []
      case 'delete':
        return list.toSpliced(span(args.range)[0], span(args.range)[1] - span(args.range)[0])
      case 'deleteid':
        return without([args.id])
      case 'move':
        return move(...span(args.range), Number(args.to))
      case 'moveid':
        return placeOf(args.id) < 0 ? undefined : move(placeOf(args.id), placeOf(args.id) + 1, Number(args.to))
      case 'swap':
        return swap(Number(args.one), Number(args.other))
      case 'swapid':
        return swap(placeOf(args.one), placeOf(args.other))
      case 'core.tracklist.move':
        return move(Number(args.start), Number(args.end), Number(args.to_position))
      case 'core.tracklist.remove': {
        const { tlid, uri } = Object(args.criteria)
        const isMeant = (entry: QueueEntry) => tlid?.includes(entry.id) !== false && uri?.includes(entry.uri) !== false
        return list.filter((entry) => !isMeant(entry))
      }
      default: {
        const [from, to] = operation.name === 'shuffle' && args.range ? span(args.range) : [args.start, args.end]
        const first = list.slice(0, Number(from ?? 0))
        const some = list.slice(Number(from ?? 0), to === undefined || to === null ? list.length : Number(to))
        return [...first, ...some.toReversed(), ...list.slice(Number(to) || list.length)]
      }
    }
  }

  const others = (list: readonly QueueEntry[]) => list.filter(({ owner }) => owner !== mine).map((entry) => entry.id)

  test("leaves everybody else's where they were to one another, by place or by id", () => {
    const requests = fc.oneof(lines.map(mpd), methods)
    fc.assert(
      fc.property(owners, requests, (whose, request) => {
        const queue = queueOf(...whose)
        for (const each of [request, byIds(request, queue)]) {
          if (judge(own, each, queue) !== 'allowed') continue
          const after = act(queue.entries, each)
          if (after) expect(others(after)).toEqual(others(queue.entries))
        }
      }),
      { numRuns: 3_000 },
    )
  })

  test('in a list as well', () => {
    const policy = policyOf(own)
    fc.assert(
      fc.property(owners, fc.array(lines, { minLength: 2, maxLength: 5 }), (whose, list) => {
        let known = queueOf(...whose)
        const calls = list.map((line) => {
          const call = callOf(byIds(mpd(line), known), known)
          known = afterwards(known, call)
          return call
        })
        if (!calls.every((call) => decide(policy, call).allowed)) return
        let real: readonly QueueEntry[] = queueOf(...whose).entries
        for (const call of calls) real = act(real, call) ?? real
        expect(others(real)).toEqual(others(queueOf(...whose).entries))
      }),
      { numRuns: 3_000 },
    )
  })

  test('by its ids is no more and no less than by its places', () => {
    fc.assert(
      fc.property(owners, lines, (whose, line) => {
        const queue = queueOf(...whose)
        expect(judge(own, byIds(mpd(line), queue), queue)).toBe(judge(own, mpd(line), queue))
      }),
      { numRuns: 1_000 },
    )
  })
})
