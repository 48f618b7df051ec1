import { describe, expect, test } from 'vitest'
import { type Call, createCall, type Origin, type Principal, type Request, type User } from '../../src/call/call.ts'
import { Fault } from '../../src/call/fault.ts'
import type { Known, Matter } from '../../src/call/known.ts'
import type { AuditRecord } from '../../src/gate/audit.ts'
import { createGate, type Gate, Refusal } from '../../src/gate/gate.ts'
import { createLimiter } from '../../src/gate/limiter.ts'
import { createInquiry, type InquiryDeps, type LookUp } from '../../src/listen/inquiry.ts'
import { createTurns } from '../../src/listen/turns.ts'
import { compile } from '../../src/policy/policy.ts'
import { mpd } from '../../src/protocol/mpd/catalog.ts'
import { resolve } from '../../src/protocol/resolve.ts'

const turn = (change: number): Request => ({ operation: mpd.volume, args: { change } })
const setvol = (level: number): Request => ({ operation: mpd.setvol, args: { level } })
const status: Request = { operation: mpd.status, args: {} }
const user = (name: string): User => {
  return { kind: 'user', id: name, name, roles: [name], session: name, until: 1e15, from: '::1' }
}

const policy = compile(
  {
    kid: { grants: [{ allow: ['status.read'] }, { allow: ['volume.set'], when: { maxVolume: 45 } }] },
    clamped: { grants: [{ allow: ['volume.set'], when: { maxVolume: { max: 45, over: 'clamp' } } }] },
    scaled: { grants: [{ allow: ['volume.set'], when: { maxVolume: { max: 40, over: 'scale' } } }] },
    member: { grants: [{ allow: ['*'] }] },
  },
  { zone: 'UTC' },
)
const records: AuditRecord[] = []
const gate: Gate = createGate({
  policy: () => policy,
  limiter: createLimiter(),
  audit: { write: (record) => void records.push(record) },
})

/** An inquiry before a player in memory, which tells what it was asked and told in order. */
function house(deps: Partial<Omit<InquiryDeps, 'lookUps'>> & { lookUps?: Partial<InquiryDeps['lookUps']> } = {}) {
  const happened: string[] = []
  const player = { volume: 30 }
  const nothing: LookUp = async () => ({})
  const volume: LookUp = async () => {
    happened.push(`is ${player.volume}`)
    await new Promise((turn) => setImmediate(turn))
    return { volume: player.volume }
  }
  const inquiry = createInquiry({
    gate,
    resolve,
    ...deps,
    lookUps: { volume, hosts: nothing, adds: nothing, queue: nothing, ...deps.lookUps },
  })
  let by: Principal = user('kid')
  const originOf = (who = by): Origin => ({ id: 'r', by: who, door: 'mpd', player: 'home', at: 1e12 })
  /** Sends what was admitted, which the player takes a while to do. */
  const go = async (calls: readonly Call[]) => {
    const permits = gate.admitAll(calls)
    await new Promise((turn) => setImmediate(turn))
    for (const { call } of permits) {
      if (call.args.level !== undefined) player.volume = Number(call.args.level)
      happened.push(`${call.operation.name} ${Object.values(call.args).join()}`.trim())
    }
  }
  return {
    inquiry,
    happened,
    player,
    go,
    originOf,
    set by(next: Principal) {
      by = next
    },
    async do(who: string, ...requests: readonly Request[]) {
      const origin = () => originOf(user(who))
      await inquiry.pass(
        origin,
        requests.map((request) => createCall(origin(), request)),
        go,
      )
    },
  }
}

describe('what need not be looked up', () => {
  test('goes at once and as it is', async () => {
    const { happened, go, originOf, inquiry } = house()
    const calls = [createCall(originOf(), status)]
    let given: unknown
    const result = inquiry.pass(originOf, calls, (same) => {
      given = same
      return 'now'
    })
    expect([result, given === calls, happened]).toEqual(['now', true, []])
    await go(calls)
  })

  test('a relative change of somebody without a ceiling stays one', async () => {
    const { happened, do: act } = house()
    await act('member', turn(5))
    expect(happened).toEqual(['volume 5'])
  })
})

describe('a relative change', () => {
  test('is resolved, and goes by what it comes to', async () => {
    const { happened, do: act, player } = house()
    await act('kid', turn(5))
    expect(happened).toEqual(['is 30', 'setvol 35'])
    player.volume = 42
    await expect(act('kid', turn(5))).rejects.toMatchObject({ fault: { message: 'not allowed: maxVolume 45' } })
    await act('clamped', turn(5))
    expect(player.volume).toBe(45)
  })

  test('moves by what its person sees: a tenth of 0 to 40', async () => {
    const { happened, do: act } = house()
    await act('scaled', turn(10))
    expect(happened).toEqual(['is 30', 'setvol 34'])
  })

  test('ten at once: none is lost, and none goes above the ceiling', async () => {
    const { happened, do: act, player } = house()
    player.volume = 0
    await Promise.all(Array.from({ length: 10 }, (_, i) => act(i % 2 ? 'clamped' : 'kid', turn(4))))
    expect(player.volume).toBe(40)
    await Promise.all(Array.from({ length: 10 }, () => act('clamped', turn(4))))
    expect(player.volume).toBe(45)
    expect(Math.max(...happened.map((what) => Number(what.split(' ')[1])))).toBe(45)
  })

  test('does not come between what another person sets and what that comes to', async () => {
    const { happened, do: act } = house()
    await Promise.all([act('clamped', turn(5)), act('member', setvol(20)), act('clamped', turn(5))])
    expect(happened).toEqual(['is 30', 'setvol 35', 'setvol 20', 'is 20', 'setvol 25'])
  })

  test('in a list goes on from what the list has set, as the player will have it', async () => {
    const lists: [string, Request[], string[]][] = [
      ['clamped', [setvol(30), turn(5), turn(5)], ['setvol 30', 'setvol 35', 'setvol 40']],
      ['clamped', [turn(5), setvol(100), turn(-5)], ['is 30', 'setvol 35', 'setvol 45', 'setvol 40']],
      ['scaled', [setvol(50), turn(10), turn(100), turn(-100)], ['setvol 20', 'setvol 24', 'setvol 40', 'setvol 0']],
    ]
    for (const [who, requests, expected] of lists) {
      const { happened, do: act } = house()
      await act(who, ...requests)
      expect(happened).toEqual(expected)
    }
  })

  test('that is too much in a list is refused at its place, and nothing happens', async () => {
    const { happened, do: act } = house()
    const refused = act('kid', setvol(30), turn(5), turn(5), turn(6))
    await expect(refused).rejects.toMatchObject({ index: 3, fault: { message: 'not allowed: maxVolume 45' } })
    expect(happened).toEqual([])
  })
})

describe('what is not found out', () => {
  test('is refused, and asked once', async () => {
    let asked = 0
    const volume: LookUp = async () => {
      asked++
      return {}
    }
    const { do: act } = house({ lookUps: { volume } })
    await expect(act('kid', turn(5))).rejects.toMatchObject({ fault: { code: 'forbidden' } })
    expect(asked).toBe(1)
  })

  test('whatever the gate goes on asking for: each matter once, and hosts when all addresses are known', async () => {
    const asked: string[] = []
    const lookUp = (matter: Matter, found: Known) => async (call: Call) => {
      asked.push(`${matter} of ${call.touches.uri?.length ?? 0}`)
      return found
    }
    const greedy = { ...gate, mattersOf: () => ['hosts', 'adds', 'queue', 'volume'] as const }
    const { do: act } = house({
      gate: greedy,
      lookUps: {
        volume: lookUp('volume', {}),
        queue: lookUp('queue', {}),
        adds: lookUp('adds', { adds: ['local:track:a', 'local:track:b'] }),
        hosts: lookUp('hosts', {}),
      },
    })
    await act('member', status)
    expect(asked).toEqual(['adds of 0', 'queue of 0', 'volume of 0', 'hosts of 2'])
  })

  test('because the player is away is the fault of that call: its place in a list, itself when it is alone', async () => {
    const volume: LookUp = async () => {
      throw new Fault('player-unreachable', 'away')
    }
    const { do: act } = house({ lookUps: { volume } })
    await expect(act('kid', status, turn(5))).rejects.toEqual(new Refusal(new Fault('player-unreachable', 'away'), 1))
    const alone = act('kid', turn(5))
    await expect(alone).rejects.toBeInstanceOf(Fault)
    await expect(alone).rejects.toMatchObject({ code: 'player-unreachable' })
    const broken = house({
      lookUps: {
        volume: async () => {
          throw new TypeError('a defect')
        },
      },
    })
    await expect(broken.do('kid', turn(5))).rejects.toMatchObject({ code: 'internal' })
  })

  test('holds up nobody: the next one has its turn', async () => {
    let isAway = true
    const { do: act, player } = house({
      lookUps: {
        volume: async () => {
          if (isAway) throw new Fault('player-unreachable', 'away')
          return { volume: 10 }
        },
      },
    })
    await expect(act('kid', turn(5))).rejects.toThrow()
    isAway = false
    await act('kid', turn(5))
    expect(player.volume).toBe(15)
  })
})

describe('who was asked for', () => {
  test('is asked anew after every wait: a sign-in that ended meanwhile is refused', async () => {
    const base = house()
    const { inquiry, go, originOf, happened } = house({
      lookUps: {
        async volume() {
          by = { kind: 'anonymous', from: '::1' }
          return { volume: 10 }
        },
      },
    })
    let by: Principal = user('kid')
    const origin = () => originOf(by)
    const call = createCall(origin(), turn(5))
    await expect(inquiry.pass(origin, [call], go)).rejects.toMatchObject({ fault: { code: 'unauthenticated' } })
    expect([happened, base.happened]).toEqual([[], []])
  })

  test('also of who only waited for a turn', async () => {
    const { inquiry, go, originOf, happened, do: act } = house()
    let by: Principal = user('member')
    const origin = () => originOf(by)
    const before = act('kid', turn(5))
    const after = inquiry.pass(origin, [createCall(origin(), setvol(90))], go)
    by = user('kid')
    await expect(after).rejects.toMatchObject({ fault: { message: 'not allowed: maxVolume 45' } })
    await before
    expect(happened).toEqual(['is 30', 'setvol 35'])
  })

  test('and of all calls of a list when they go: none is of before the hour, the sign-in or the look that came since', async () => {
    let at = 1e12
    let who = user('kid')
    const volume: LookUp = async () => {
      at += 10_000
      who = user('member')
      return { volume: 30 }
    }
    const { inquiry, originOf } = house({ lookUps: { volume } })
    const origin = () => ({ ...originOf(who), at })
    const calls = [status, turn(5)].map((request, i) => createCall({ ...origin(), id: `r${i}` }, request))
    const gone = await inquiry.pass(origin, calls, (going) => going)
    expect(gone.map(({ id, at, by, args }) => [id, at, by, args])).toEqual([
      ['r0', 1e12 + 10_000, user('member'), {}],
      ['r1', 1e12 + 10_000, user('member'), { level: 35 }],
    ])
  })

  test('keeps the name of the request', async () => {
    const { do: act } = house()
    records.length = 0
    await act('kid', turn(5))
    expect(records).toMatchObject([{ request: 'r', operation: 'setvol', touches: { volume: [35] } }])
  })
})

test('who asks for much at once waits for themselves: everybody else comes after one of theirs', async () => {
  const looks: (() => void)[] = []
  const { do: act, happened } = house({
    lookUps: {
      volume: ({ by }) =>
        new Promise((resolve) => {
          happened.push(`look ${by.kind === 'user' ? by.name : ''}`)
          looks.push(() => resolve({ volume: 20 }))
        }),
    },
  })
  const settle = () => new Promise((turn) => setTimeout(turn))
  const all = Array.from({ length: 9 }, () => act('kid', turn(5)))
  all.push(act('clamped', turn(9)), act('scaled', turn(10)))
  for (let i = 0; i < all.length; i++) {
    await settle()
    looks[i]?.()
  }
  await Promise.all(all)
  expect(happened.slice(0, 8)).toEqual([
    ...['look kid', 'setvol 25', 'look clamped', 'setvol 29'],
    ...['look scaled', 'setvol 24', 'look kid', 'setvol 25'],
  ])
})

describe('who looks up for too long', () => {
  test('lets the next one go, and is refused: it may have changed what was found', async () => {
    const { promise: found, resolve: find } = Promise.withResolvers<Known>()
    let first = true
    const { do: act, happened } = house({
      turns: createTurns(5),
      lookUps: {
        volume: () => {
          if (!first) return Promise.resolve({ volume: 20 })
          first = false
          return found
        },
      },
    })
    const slow = act('kid', turn(5))
    await act('kid', turn(5))
    find({ volume: 30 })
    await expect(slow).rejects.toMatchObject({ code: 'player-timeout' })
    expect(happened).toEqual(['setvol 25'])
  })
})

describe('a list that has much looked up', () => {
  const load: Request = { operation: mpd.load, args: { playlist: 'long' } }
  const adds = Array.from({ length: 3_000 }, (_, i) => `song ${i}.flac`)

  test('is refused where it is too much to be kept until it goes', async () => {
    let looks = 0
    const { do: act } = house({
      lookUps: {
        async adds() {
          looks++
          return { adds }
        },
      },
    })
    await act('member', ...Array.from({ length: 6 }, () => load))
    looks = 0
    const many = act('member', ...Array.from({ length: 40 }, () => load))
    await expect(many).rejects.toMatchObject({ index: 6, fault: { code: 'too-large' } })
    expect(looks).toBe(7)
  })

  test('is looked at no further when its turn is over', async () => {
    const looks: ((known: Known) => void)[] = []
    const { do: act, happened } = house({
      turns: createTurns(5),
      lookUps: { adds: () => new Promise((resolve) => looks.push(resolve)) },
    })
    const slow = act('member', load, load, load)
    const next = act('clamped', { operation: mpd.rename, args: { from: 'a', to: 'b' } })
    await expect(next).rejects.toThrow()
    looks[0]?.({ adds: ['a.flac'] })
    await expect(slow).rejects.toMatchObject({ code: 'player-timeout' })
    expect([looks.length, happened]).toEqual([1, []])
  })
})

describe('turns', () => {
  test('are of one player, and of one matter', async () => {
    const turns = createTurns()
    const { promise: never, resolve: end } = Promise.withResolvers<void>()
    const held = turns.take(['volume home'], () => never)
    expect(await turns.take(['volume bath'], () => 'went')).toBe('went')
    expect(await turns.take(['queue home'], () => 'went')).toBe('went')
    const order: string[] = []
    const waits = turns.take(['queue home', 'volume home'], () => void order.push('both'))
    const behind = turns.take(['queue home'], () => void order.push('behind'))
    end()
    await Promise.all([held, waits, behind])
    expect(order).toEqual(['both', 'behind'])
  })

  test('are waited for as long as there is patience', async () => {
    const turns = createTurns()
    const { promise: never, resolve: end } = Promise.withResolvers<void>()
    const slow = turns.take(['a'], () => never)
    expect(await turns.take(['a'], () => 'went beside', 1)).toBe('went beside')
    const order: string[] = []
    const behind = turns.take(['a'], () => void order.push('behind'))
    await new Promise((turn) => setImmediate(turn))
    order.push('before')
    end()
    await Promise.all([slow, behind])
    expect(order).toEqual(['before', 'behind'])
  })

  test('are told when they are over', async () => {
    const turns = createTurns(1)
    let mine: { readonly isOver: boolean } | undefined
    const { promise: never, resolve: end } = Promise.withResolvers<void>()
    const slow = turns.take(['a'], (turn) => {
      mine = turn
      return never
    })
    await turns.take(['a'], () => {})
    expect(mine?.isOver).toBe(true)
    end()
    await slow
  })
})
