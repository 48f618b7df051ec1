import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { mpd } from '../../src/protocol/mpd/catalog.ts'
import { createMopidy } from '../../src/upstream/mopidy.ts'
import { createMpd } from '../../src/upstream/mpd.ts'
import { mopidyQueue, mpdQueue, type QueueEye, type Sighting } from '../../src/upstream/queue.ts'
import { startFakePlayer } from './fake.ts'
import { startFakeMpd } from './fakempd.ts'
import { permitOf } from './permits.ts'

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

const ids = ({ entries }: Sighting) => entries.map(({ id }) => id)
const idsOf = async (eye: QueueEye, last?: Sighting) => ids(await eye.see(last))

async function atMopidy() {
  const fake = await startFakePlayer()
  ends.push(() => fake.close())
  const house = {
    fake,
    version: 1,
    tlids: [1, 2],
    asked: (method: string) => fake.methods.filter((each) => each === method).length,
  }
  fake.onQuestion = ({ method }) => {
    if (method === 'core.tracklist.get_version') return house.version
    if (method === 'core.tracklist.get_length') return house.tlids.length
    return house.tlids.map((tlid) => ({ __model__: 'TlTrack', tlid, track: { uri: `local:track:${tlid}` } }))
  }
  const player = createMopidy({ url: fake.url, now: Date.now, random: () => 0, limits: { retryFirstMs: 10 } })
  ends.push(() => player.close())
  return { ...house, house, player, eye: mopidyQueue(player, undefined) }
}

describe('the queue of a Mopidy', () => {
  test('is read whole when its version or its length is another, and else not', async () => {
    const { eye, house } = await atMopidy()
    const first = await eye.see(undefined)
    expect(first.entries).toEqual([1, 2].map((id) => ({ id, uri: `local:track:${id}` })))
    expect(await eye.see(first)).toBe(first)
    // What Mopidy leaves of an addition that was too long has no version.
    house.tlids.push(3)
    const second = await eye.see(first)
    expect(ids(second)).toEqual([1, 2, 3])
    house.version++
    house.tlids.reverse()
    expect(await idsOf(eye, second)).toEqual([3, 2, 1])
    expect(house.asked('core.tracklist.get_tl_tracks')).toBe(3)
  })

  test('that makes no sense is not known', async () => {
    const { eye, fake } = await atMopidy()
    for (const answer of [null, 'x', -1, [{ tlid: 'x' }], [null]]) {
      fake.onQuestion = ({ method }) => (method === 'core.tracklist.get_tl_tracks' ? answer : 1)
      await expect(eye.see(undefined)).rejects.toThrow('does not say what is in its queue')
    }
  })

  test('is lost when the connection broke', async () => {
    const { eye, fake } = await atMopidy()
    await eye.see(undefined)
    let lost = 0
    const stop = eye.onLoss(() => lost++)
    fake.kill()
    await fake.waitFor(fake.received.length)
    while (lost === 0) await new Promise((resolve) => setImmediate(resolve))
    stop()
  })

  test('loses many by one call', async () => {
    const { eye } = await atMopidy()
    expect(eye.removal([4, 5])).toMatchObject([
      { operation: { name: 'core.tracklist.remove' }, args: { criteria: { tlid: [4, 5] } } },
    ])
  })
})

/** As MPD counts: each place knows the version that changed it last. */
async function atMpd() {
  const fake = await startFakeMpd()
  ends.push(() => fake.close())
  const house = { fake, version: 1, places: [] as { id: number; version: number }[] }
  const told: string[] = []
  fake.answer = (line) => {
    if (line !== 'command_list_end') return 'OK\n'
    const since = Number(/^plchangesposid "(\d+)"$/.exec(fake.list[1] ?? '')?.[1] ?? Number.NaN)
    if (Number.isNaN(since)) {
      told.push(...fake.list)
      return 'OK\n'
    }
    const changed = house.places.flatMap(({ id, version }, place) =>
      since > house.version || version >= since ? [`cpos: ${place}\nId: ${id}\n`] : [],
    )
    return `volume: 1\nplaylist: ${house.version}\nplaylistlength: ${house.places.length}\n${changed.join('')}OK\n`
  }
  const player = createMpd({ host: fake.host, port: fake.port, limits: { retryFirstMs: 10, retryMostMs: 20 } })
  ends.push(() => player.close())
  await fake.until(() => player.up)
  const eye = mpdQueue(player)
  ends.push(() => eye.close())
  const put = (next: readonly number[]) => {
    house.places = next.map((id, place) => {
      const old = house.places[place]
      return old?.id === id ? old : { id, version: house.version }
    })
    house.version++
  }
  return { house, player, eye, put, told, fake }
}

describe('the queue of an MPD', () => {
  test('is known by what changed, however it changed', async () => {
    const { eye, put, house } = await atMpd()
    let last: Sighting | undefined
    const queues = fc.uniqueArray(fc.integer({ min: 1, max: 99 }), { maxLength: 12 })
    await fc.assert(
      fc.asyncProperty(queues, fc.boolean(), async (next, isTwice) => {
        put(next)
        if (isTwice) put(next.toReversed())
        last = await eye.see(last)
        expect(ids(last)).toEqual(house.places.map(({ id }) => id))
        expect(await eye.see(last)).toBe(last)
      }),
      { numRuns: 60 },
    )
  })

  test('that makes no sense is not known', async () => {
    const { eye, fake } = await atMpd()
    for (const answer of [
      'OK\n',
      'ACK [5@1] {plchangesposid} unknown command\n',
      'playlist: 2\nplaylistlength: 2\ncpos: 0\nId: 1\nOK\n',
      'playlist: 2\nplaylistlength: x\nOK\n',
      'playlist: 2\nplaylistlength: 1\ncpos: 1\nId: 1\nOK\n',
    ]) {
      fake.answer = () => answer
      await expect(eye.see(undefined)).rejects.toThrow()
    }
  })

  test('is lost when the connection broke, and not known until it stands', async () => {
    const { eye, put, fake, player } = await atMpd()
    put([1, 2])
    const last = await eye.see(undefined)
    let lost = 0
    eye.onLoss(() => lost++)
    await fake.close()
    while (player.up || lost === 0) await new Promise((resolve) => setImmediate(resolve))
    await expect(eye.see(last)).rejects.toThrow('cannot be reached')
    await fake.reopen()
    await fake.until(() => player.up)
    expect(await idsOf(eye)).toEqual([1, 2])
  })

  test('loses each by its id, also when some are gone already', async () => {
    const { eye, told, fake } = await atMpd()
    const permits = eye.removal([3, 4, 5]).map((request) => permitOf(request))
    expect(permits.map(({ call }) => [call.operation, call.args])).toEqual(
      [3, 4, 5].map((id) => [mpd.deleteid, { id }]),
    )
    const answers = ['ACK [50@1] {deleteid} No such song\n', 'OK\n']
    fake.answer = (line) => {
      told.push(...(line === 'command_list_end' ? fake.list : [line]))
      return answers.shift()
    }
    await eye.send(permits)
    expect(told).toEqual(['deleteid "3"', 'deleteid "4"', 'deleteid "5"', 'deleteid "5"'])
  })

  test('is calm when the player has answered, also what its client waits for no more', async () => {
    const { player, fake } = await atMpd()
    let answer = () => {}
    fake.answer = (_line, socket) => {
      answer = () => socket.write('OK\n')
      return undefined
    }
    const client = player.open({ id: 'kim', reserve: false })
    const gone = expect(
      client.send([permitOf({ operation: mpd.add, args: { uri: 'a.flac' } })], 'single', () => {}),
    ).rejects.toThrow()
    await fake.until(() => fake.lines.some((line) => line.startsWith('add')))
    client.close()
    await gone
    let isCalm = false
    const calm = player.calm().then(() => {
      isCalm = true
    })
    await new Promise((resolve) => setImmediate(resolve))
    expect(isCalm).toBe(false)
    answer()
    await calm
  })

  test('is calm while somebody else leaves unread what adds nothing', async () => {
    const { player, fake } = await atMpd()
    fake.answer = () => undefined
    const client = player.open({ id: 'kim', reserve: false })
    const late = client.send([permitOf({ operation: mpd.pause, args: { state: true } })], 'single', () => {})
    await fake.until(() => fake.lines.some((line) => line.startsWith('pause')))
    await player.calm()
    client.close()
    await expect(late).rejects.toThrow()
  })
})
