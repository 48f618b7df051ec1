import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Call, createCall } from '../../src/call/call.ts'
import { Fault } from '../../src/call/fault.ts'
import type { QueueEntry } from '../../src/call/known.ts'
import { mpd } from '../../src/protocol/mpd/catalog.ts'
import { createLedger } from '../../src/upstream/ledger.ts'
import type { QueueEye, Sighting } from '../../src/upstream/queue.ts'
import { userNamed } from './fake.ts'

const callBy = (person: string, uri = 'a.flac'): Call =>
  createCall(
    { id: '1', by: userNamed(person), door: 'mpd', player: 'home', at: 0 },
    { operation: mpd.add, args: { uri } },
  )

/** A queue under the test's thumb, and a ledger of it. */
function stage() {
  let entries: Pick<QueueEntry, 'id' | 'uri'>[] = []
  let version = 0
  let last = 0
  let lose = () => {}
  const told: string[] = []
  const change = (next: typeof entries) => {
    entries = next
    version++
  }
  const house = {
    room: Number.POSITIVE_INFINITY as number,
    now: 0,
    looks: 0,
    /** Full readings. */
    reads: 0,
    fault: undefined as Fault | undefined,
    calm: async () => {},
    told,
    counted: [] as number[],
    get ids() {
      return entries.map(({ id }) => id)
    },
    bring(count: number, at = entries.length) {
      const fresh = Array.from({ length: count }, () => ({ id: ++last, uri: `local:track:${last}` }))
      change(entries.toSpliced(at, 0, ...fresh))
      return fresh.map(({ id }) => id)
    },
    drop: (...ids: number[]) => change(entries.filter(({ id }) => !ids.includes(id))),
    order: (...ids: number[]) => change(ids.flatMap((id) => entries.filter((entry) => entry.id === id))),
    restart() {
      last = 0
      version = 0
      entries = []
      lose()
    },
  }
  const eye: QueueEye = {
    async see(seen): Promise<Sighting> {
      house.looks++
      if (house.fault) throw house.fault
      if (seen?.version === version) return seen
      house.reads++
      return { entries: [...entries], version, length: entries.length }
    },
    calm: () => house.calm(),
    onLoss(listener) {
      lose = listener
      return () => {}
    },
    removal: () => [],
    send: async () => {},
    close: () => {},
  }
  const ledger = createLedger({
    eye,
    room: ({ known }) => house.room - (known.queue?.entries.length ?? 0),
    counted: (_call, more) => house.counted.push(more),
    remove: async (ids) => {
      told.push(`remove ${ids.join(' ')}`)
      house.drop(...ids)
    },
    log: { info: () => {}, warn: () => told.push('warn') },
    now: () => house.now,
  })
  const add = (person: string, count = 1, at?: number) =>
    ledger.hear([callBy(person)], () => Promise.resolve(house.bring(count, at)))
  const owners = async () => (await ledger.look()).entries.map(({ owner, among }) => owner ?? among?.join('|') ?? '-')
  return { house, ledger, add, owners }
}

describe('whose an entry is', () => {
  test('theirs who added it, wherever it went in', async () => {
    const { house, add, owners } = stage()
    house.bring(2)
    await add('kim')
    await add('ada', 2, 0)
    expect(await owners()).toEqual(['ada', 'ada', '-', '-', 'kim'])
  })

  test('and stays theirs wherever it is moved', async () => {
    const { house, add, owners } = stage()
    await add('kim')
    await add('ada', 2)
    house.order(3, 1, 2)
    expect(await owners()).toEqual(['ada', 'kim', 'ada'])
  })

  test('what comes past the gateway is nobody’s, also when it comes after', async () => {
    const { house, add, owners } = stage()
    await add('kim')
    house.bring(1)
    await add('kim')
    house.bring(1, 0)
    expect(await owners()).toEqual(['-', 'kim', '-', 'kim'])
  })

  test('an id that is given again is another entry', async () => {
    const { house, add, owners } = stage()
    await add('kim')
    house.drop(1)
    await owners()
    house.bring(1)
    expect(await owners()).toEqual(['-'])
  })

  test('the same number with another address is not the same', async () => {
    const { house, add, ledger } = stage()
    await add('kim')
    await ledger.look()
    house.restart()
    house.bring(1)
    expect((await ledger.look()).entries[0]?.owner).toBeUndefined()
  })

  test('when the player was started anew, all are nobody’s', async () => {
    const { house, add, owners } = stage()
    await add('kim', 3)
    house.restart()
    house.bring(3)
    expect(await owners()).toEqual(['-', '-', '-'])
    await add('kim')
    expect(await owners()).toEqual(['-', '-', '-', 'kim'])
  })

  test('it was started anew while somebody added: nothing is theirs', async () => {
    const { house, ledger, owners } = stage()
    house.bring(1)
    await ledger.hear([callBy('kim')], () => {
      house.restart()
      house.bring(2)
    })
    expect(await owners()).toEqual(['-', '-'])
  })

  test('a call that was refused leaves nothing behind', async () => {
    const { house, ledger, owners } = stage()
    const refused = ledger.hear([callBy('kim')], () => Promise.reject(new Fault('forbidden', 'no')))
    await expect(refused).rejects.toThrow('no')
    house.bring(1)
    expect(await owners()).toEqual(['-'])
  })

  test('a call that failed when it had begun: what came is theirs all the same', async () => {
    const { house, ledger, owners } = stage()
    const failed = ledger.hear([callBy('kim')], async () => {
      house.bring(2)
      throw new Fault('player-timeout', 'late')
    })
    await expect(failed).rejects.toThrow('late')
    expect(await owners()).toEqual(['kim', 'kim'])
  })

  test('who hangs up before it is done has what is done after that', async () => {
    const { house, ledger, owners } = stage()
    let arrive = () => {}
    house.calm = () => new Promise((resolve) => (arrive = resolve))
    const gone = ledger.hear([callBy('kim')], () => Promise.reject(new Fault('player-unreachable', 'gone')))
    const waited = expect(gone).rejects.toThrow('gone')
    await new Promise((resolve) => setImmediate(resolve))
    house.bring(3)
    arrive()
    await waited
    expect(await owners()).toEqual(['kim', 'kim', 'kim'])
  })

  test('two at the same time: it counts for both and is neither’s', async () => {
    const { house, ledger, owners } = stage()
    let end = () => {}
    const first = ledger.hear([callBy('kim')], () => new Promise<void>((resolve) => (end = resolve)))
    await new Promise((resolve) => setImmediate(resolve))
    house.room = 0
    await ledger.hear([callBy('ada')], () => void house.bring(2))
    end()
    await first
    expect(await owners()).toEqual(['kim|ada', 'kim|ada'])
    // Whose would be taken out nobody knows.
    expect(house.told).toEqual([])
  })

  test('one person on two devices at the same time is one person', async () => {
    const { house, ledger, owners } = stage()
    let end = () => {}
    const first = ledger.hear([callBy('kim')], () => new Promise<void>((resolve) => (end = resolve)))
    await new Promise((resolve) => setImmediate(resolve))
    await ledger.hear([callBy('kim')], () => void house.bring(1))
    house.bring(1)
    end()
    await first
    expect(await owners()).toEqual(['kim', 'kim'])
  })
})

describe('what there is no room for', () => {
  test('is taken out, the last that came first, and the caller is told which', async () => {
    const { house, add, owners } = stage()
    house.room = 5
    house.bring(2)
    const { result, taken } = await add('kim', 10, 0)
    expect(house.told).toEqual(['remove 6 7 8 9 10 11 12'])
    expect([...taken]).toEqual(result.slice(3))
    expect(await owners()).toEqual(['kim', 'kim', 'kim', '-', '-'])
  })

  test('never anybody else’s, however full it is', async () => {
    const { house, add } = stage()
    house.room = 5
    const [mine] = (await add('ada', 4)).result
    house.bring(6)
    await add('kim', 3)
    expect(house.ids).toContain(mine)
    expect(house.ids).toHaveLength(10)
    expect(house.told).toEqual(['remove 11 12 13'])
  })

  test('what the player took out by itself meanwhile makes room', async () => {
    const { house, ledger } = stage()
    house.room = 3
    house.bring(3)
    await ledger.look()
    await ledger.hear([callBy('kim')], () => {
      house.bring(1)
      house.drop(1)
    })
    expect(house.told).toEqual([])
  })

  test('after a call that failed as well', async () => {
    const { house, ledger } = stage()
    house.room = 2
    const full = ledger.hear([callBy('kim')], async () => {
      house.bring(500)
      throw new Error('TracklistFull')
    })
    await expect(full).rejects.toThrow('TracklistFull')
    expect(house.ids).toEqual([1, 2])
  })

  test('more than was named is counted, without what was taken out', async () => {
    const { house, add } = stage()
    house.room = 5
    await add('kim', 1)
    await add('kim', 3)
    await add('kim', 9)
    expect(house.counted).toEqual([2])
  })
})

describe('the looking', () => {
  test('reads the whole queue only when it changed', async () => {
    const { house, ledger } = stage()
    house.bring(1_000)
    for (let i = 0; i < 20; i++) await ledger.look()
    expect(house).toMatchObject({ looks: 20, reads: 1 })
  })

  test('fails: who is counted does not add, anybody else does', async () => {
    const { house, ledger, owners } = stage()
    house.bring(1)
    await ledger.look()
    house.fault = new Fault('player-timeout', 'late')
    const counted = { ...callBy('kim'), known: { queue: { entries: [] } } }
    let went = false
    await expect(
      ledger.hear([counted], () => {
        went = true
      }),
    ).rejects.toThrow('late')
    expect(went).toBe(false)
    await ledger.hear([callBy('ada')], () => {
      house.fault = undefined
      house.bring(2)
    })
    expect(await owners()).toEqual(['-', '-', '-'])
  })

  test('fails after the call: it is tried again until the player answers', async () => {
    const { house, ledger, owners } = stage()
    house.room = 2
    await ledger.hear([callBy('kim')], () => {
      house.bring(5)
      house.fault = new Fault('player-timeout', 'late')
      setTimeout(() => {
        house.fault = undefined
      })
    })
    expect(await owners()).toEqual(['kim', 'kim'])
  })

  test('nobody knows what came of it: for a while it may be theirs, and counts', async () => {
    const { house, ledger, owners } = stage()
    house.calm = () => Promise.reject(new Fault('player-unreachable', 'gone'))
    await ledger.hear([callBy('kim')], () => {})
    expect(house.told).toEqual(['warn'])
    house.now = 30_000
    house.bring(1)
    expect(await owners()).toEqual(['kim'])
    const [entry] = (await ledger.look()).entries
    expect(entry).toMatchObject({ among: ['kim'] })
    expect(entry?.owner).toBeUndefined()
    house.now = 100_000
    house.bring(1)
    expect(await owners()).toEqual(['kim', '-'])
  })

  test('and once that while is over others are counted as ever', async () => {
    const { house, ledger, add, owners } = stage()
    house.calm = () => Promise.reject(new Fault('player-unreachable', 'gone'))
    await ledger.hear([callBy('kim')], () => {})
    house.calm = async () => {}
    house.now = 100_000
    house.room = 2
    await add('ada', 5)
    expect(house.told).toEqual(['warn', 'remove 3 4 5'])
    expect(await owners()).toEqual(['ada', 'ada'])
  })
})

test('whatever happens, nobody has what they did not add, and all that is left within the room', async () => {
  const step = fc.record({
    kind: fc.constantFrom('kim', 'ada', 'outside', 'drop', 'shuffle'),
    count: fc.integer({ min: 1, max: 6 }),
    at: fc.nat({ max: 10 }),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      const { house, ledger, add } = stage()
      house.room = 8
      const brought = new Map<number, string>()
      for (const { kind, count, at } of steps) {
        const ids = house.ids
        const before = new Set(ids)
        if (kind === 'drop') house.drop(ids[at % Math.max(1, ids.length)] ?? 0)
        else if (kind === 'shuffle') house.order(...ids.toReversed())
        else if (kind === 'outside') house.bring(count, at)
        else {
          for (const id of (await add(kind, count, at)).result) brought.set(id, kind)
          // Nothing of what was there is gone, and no more came than there was room for.
          expect([...before].every((id) => house.ids.includes(id))).toBe(true)
          expect(house.ids.length).toBeLessThanOrEqual(Math.max(before.size, 8))
        }
        for (const { id, owner } of (await ledger.look()).entries) expect(owner).toBe(brought.get(id))
      }
    }),
    { numRuns: 300 },
  )
})
