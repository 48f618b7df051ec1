import { describe, expect, test } from 'vitest'
import { type Call, createCall, type Origin, type Request } from '../../src/call/call.ts'
import { Fault } from '../../src/call/fault.ts'
import type { Queue } from '../../src/call/known.ts'
import { createGate, Refusal } from '../../src/gate/gate.ts'
import { createLimiter } from '../../src/gate/limiter.ts'
import { createInquiry } from '../../src/listen/inquiry.ts'
import { isTracked } from '../../src/policy/matter.ts'
import { compile } from '../../src/policy/policy.ts'
import { mopidy } from '../../src/protocol/mopidy/catalog.ts'
import { withoutEntries } from '../../src/protocol/mopidy/entry.ts'
import { mpd } from '../../src/protocol/mpd/catalog.ts'
import { decode } from '../../src/protocol/mpd/decode.ts'
import { tokenize } from '../../src/protocol/mpd/token.ts'
import { userNamed } from '../upstream/fake.ts'

const read = (line: string): Request => decode(tokenize(new TextEncoder().encode(line)))

const write = (value: unknown) => (typeof value === 'object' ? JSON.stringify(value) : String(value))

/** @param owners of the entries with the ids 10, 11, 12 … */
function stage(owners: readonly string[] = [], setting = { perPerson: 3, own: true } as { own: boolean }) {
  const policy = compile({
    kid: { grants: [{ allow: ['queue.*'], when: { queue: setting }, on: ['home'] }] },
    member: { grants: [{ allow: ['*'] }] },
  })
  const gate = createGate({ policy: () => policy, limiter: createLimiter(), audit: { write: () => {} } })
  const happened: string[] = []
  const house = {
    happened,
    queue: { entries: owners.map((owner, i) => ({ id: 10 + i, owner })) } as Queue,
    fault: undefined as Fault | undefined,
    taken: new Set<number>(),
    sent: [] as string[],
  }
  const pause = () => new Promise((resolve) => setImmediate(resolve))
  const inquiry = createInquiry({
    gate,
    resolve: (request) => request,
    lookUps: {
      volume: async () => ({}),
      hosts: async () => ({}),
      adds: async () => ({}),
      async queue() {
        if (house.fault) throw house.fault
        happened.push('look')
        return { queue: house.queue }
      },
    },
    keeper: {
      isTracked: (call) => isTracked(policy, call),
      ledgerOf: () => ({
        look: async () => house.queue,
        async hear(_calls, go) {
          happened.push('hear')
          const result = await go()
          await pause()
          happened.push('heard')
          return { result, taken: house.taken }
        },
        close: () => {},
      }),
    },
  })
  const pass = (
    who: string,
    role: string,
    requests: readonly Request[],
    player = 'home',
    result: unknown = undefined,
  ) => {
    const origin = (): Origin => ({ id: 'r', by: userNamed(who, [role]), door: 'mpd', player, at: 1 })
    const go = async (calls: readonly Call[]) => {
      const permits = gate.admitAll(calls)
      await pause()
      house.sent = permits.map(({ call }) =>
        `${call.operation.name} ${Object.values(call.args).map(write).join(' ')}`.trim(),
      )
      happened.push(`${who} ${house.sent.join(', ')}`)
      return result
    }
    return inquiry.pass(
      origin,
      requests.map((request) => createCall(origin(), request)),
      go,
      withoutEntries,
    )
  }
  const indexOf = async (lines: readonly string[]) => {
    try {
      await pass('kim', 'kid', lines.map(read))
      return undefined
    } catch (error) {
      return error instanceof Refusal ? error.index : error
    }
  }
  return { house, pass, indexOf }
}

describe('changes of a queue', () => {
  test('wait for one another, whoever makes them, until it was seen what came of each', async () => {
    const { house, pass } = stage()
    await Promise.all([
      pass('kim', 'kid', [read('add a')]),
      pass('mia', 'member', [read('add b')]),
      pass('mia', 'member', [read('delete 0')]),
      pass('kim', 'kid', [read('addid c')]),
    ])
    expect(house.happened).toEqual([
      ...['look', 'hear', 'kim add a', 'heard', 'hear', 'mia add b', 'heard'],
      ...['look', 'hear', 'kim addid c', 'heard', 'mia delete 0'],
    ])
  })

  test('are not waited for where nobody has the condition, nor by what changes none', () => {
    const { house, pass } = stage()
    void pass('mia', 'member', [read('add b')], 'attic')
    void pass('mia', 'member', [read('status')])
    expect(house.happened).toEqual([])
  })

  test('of who is free go also where the queue cannot be seen', async () => {
    const { house, pass } = stage()
    house.fault = new Fault('player-timeout', 'late')
    await pass('mia', 'member', [read('delete 0')])
    expect(house.happened).toEqual(['mia delete 0'])
    await expect(pass('kim', 'kid', [read('delete 0')])).rejects.toThrow('late')
  })
})

describe('an entry by its place', () => {
  test('is sent by its id, where there is a way to say it', async () => {
    const { house, pass } = stage(['kim', 'kim', 'kim'])
    for (const [line, sent] of [
      ['delete 1', 'deleteid 11'],
      ['delete 1:2', 'deleteid 11'],
      ['delete 1:3', 'delete 1:3'],
      ['move 0 2', 'moveid 10 2'],
      ['swap 0 2', 'swapid 10 12'],
      ['prio 5 0:2', 'prioid 5 [10,11]'],
    ] as const) {
      await pass('kim', 'kid', [read(line)])
      expect(house.sent).toEqual([sent])
    }
    await pass('mia', 'member', [read('delete 1')])
    expect(house.sent).toEqual(['delete 1'])
  })

  test('by its address as well', async () => {
    const { house, pass } = stage()
    house.queue = { entries: [{ id: 7, uri: 'local:track:a', owner: 'kim' }] }
    const criteria = { uri: ['local:track:a'] }
    await pass('kim', 'kid', [{ operation: mopidy['core.tracklist.remove'], args: { criteria } }])
    expect(house.sent).toEqual(['core.tracklist.remove {"uri":["local:track:a"],"tlid":[7]}'])
  })
})

describe('a list', () => {
  test('is judged as it will be, each command after those before it', async () => {
    const { indexOf } = stage(['kim', 'ada', 'kim'])
    expect(await indexOf(['delete 0', 'delete 0'])).toBe(1)
    expect(await indexOf(['add a', 'add b'])).toBe(1)
    expect(await indexOf(['delete 2', 'add a', 'add b'])).toBe(undefined)
    expect(await indexOf(['add a', 'delete 2'])).toBe(1)
    expect(await indexOf(['add a', 'deleteid 12'])).toBe(undefined)
    expect(await indexOf(['swap 0 2', 'delete 0'])).toBe(1)
    expect(await indexOf(['clear'])).toBe(0)
  })

  test('looks once, however long it is', async () => {
    const { house, indexOf } = stage(Array.from({ length: 50 }, () => 'kim'))
    expect(await indexOf(Array.from({ length: 50 }, () => 'delete 0'))).toBe(undefined)
    expect(house.happened.filter((each) => each === 'look')).toHaveLength(1)
    expect(house.sent).toEqual(Array.from({ length: 50 }, (_, i) => `deleteid ${10 + i}`))
  })

  test('what came before the first that has to be looked up counts as well', async () => {
    const { indexOf } = stage(['ada', 'kim'], { own: true })
    expect(await indexOf(['add a 0', 'delete 1'])).toBe(1)
  })
})

test('an answer is without what was taken out again', async () => {
  const { house, pass } = stage()
  house.taken = new Set([2, 3])
  const entries = [1, 2, 3].map((tlid) => ({ tlid }))
  const add = { operation: mopidy['core.tracklist.add'], args: { uris: ['local:album:x'] } }
  expect(await pass('kim', 'kid', [add], 'home', entries)).toEqual([{ tlid: 1 }])
  expect(await pass('kim', 'kid', [{ operation: mpd.add, args: { uri: 'a' } }], 'home', 'OK')).toBe('OK')
})
