import { describe, expect, test } from 'vitest'
import type { Principal } from '../../src/call/call.ts'
import { Fault } from '../../src/call/fault.ts'
import { createAnswer } from '../../src/listen/rpc.ts'
import type { Permit } from '../../src/policy/decide.ts'
import { UpstreamError } from '../../src/upstream/player.ts'
import { ada, createPlayer, createTestGate, kim, request } from './house.ts'

function open(by: Principal | (() => Principal) = ada, reply?: (permit: Permit) => unknown) {
  const player = createPlayer(reply)
  const { gate, audit } = createTestGate()
  const internal: Fault[] = []
  const answer = createAnswer({
    gate,
    player: 'home',
    rpc: player.rpc,
    now: () => 1e12,
    onInternal: (fault) => void internal.push(fault),
  })
  const caller = { id: 'r1', door: 'websocket', by: typeof by === 'function' ? by : () => by } as const
  const say = async (message: unknown) => {
    const text = await answer(typeof message === 'string' ? message : JSON.stringify(message), caller)
    return text === undefined ? undefined : JSON.parse(text)
  }
  return { say, heard: player.heard, audit, internal }
}

const volume = (params: unknown, id?: unknown) => request('core.mixer.set_volume', params, id)

describe('one request', () => {
  test('goes to the player by name, however it was given, and the answer comes back with the id', async () => {
    const { say, heard, audit } = open()
    expect(await say(volume([7], 'a'))).toEqual({ jsonrpc: '2.0', id: 'a', result: { volume: 7 } })
    expect(await say(volume({ volume: 8 }, 0))).toEqual({ jsonrpc: '2.0', id: 0, result: { volume: 8 } })
    expect(heard.map(({ args }) => args)).toEqual([{ volume: 7 }, { volume: 8 }])
    expect(audit.map(({ outcome, door, request: id }) => [outcome, door, id])).toEqual([
      ['allowed', 'websocket', 'r1'],
      ['allowed', 'websocket', 'r1'],
    ])
  })
  test('with the id null is answered, for only a missing id makes a notification', async () => {
    const { say } = open()
    expect(await say(volume([7], null))).toEqual({ jsonrpc: '2.0', id: null, result: { volume: 7 } })
  })
  test('a result the player leaves out is null, for an answer must have one', async () => {
    const { say } = open(ada, () => undefined)
    expect(await say(volume([7]))).toEqual({ jsonrpc: '2.0', id: 1, result: null })
  })
  test('a kid · set_volume 41: refused by maxVolume, by position and by name; 40 passes', async () => {
    const { say, heard } = open(kim)
    for (const params of [[41], { volume: 41 }]) {
      expect(await say(volume(params))).toEqual({
        jsonrpc: '2.0',
        id: 1,
        error: {
          code: -32003,
          message: 'not allowed: maxVolume 40',
          data: {
            code: 'forbidden',
            capability: 'volume.set',
            rule: 'roles.kid.grants[1].when.maxVolume',
            request_id: 'r1',
          },
        },
      })
    }
    expect(heard).toEqual([])
    expect(await say(volume([40]))).toMatchObject({ result: { volume: 40 } })
  })
  test('somebody who has not signed in is told so, and the player hears nothing', async () => {
    const { say, heard } = open({ kind: 'anonymous', from: '::1' })
    for (const method of ['core.playback.get_state', 'core.describe', 'core.get_version']) {
      expect(await say(request(method))).toMatchObject({ error: { code: -32001, data: { code: 'unauthenticated' } } })
    }
    expect(heard).toEqual([])
  })
  test('over budget is -32029 with the seconds to wait', async () => {
    const { say, heard } = open(kim)
    for (let i = 0; i < 3; i++) await say(request('core.playback.pause'))
    expect(await say(request('core.playback.pause'))).toMatchObject({
      error: { code: -32029, data: { code: 'limited', retry_after: 1200, rule: 'roles.kid.rates.playback.control' } },
    })
    expect(heard).toHaveLength(3)
  })
  test("the player's own error keeps its code and message", async () => {
    const { say } = open(ada, () => {
      const data = { type: 'ValidationError', message: 'wrong' }
      throw new UpstreamError({ code: 0, message: 'Application error', data })
    })
    expect(await say(volume([7]))).toEqual({
      jsonrpc: '2.0',
      id: 1,
      error: { code: 0, message: 'Application error', data: { type: 'ValidationError', message: 'wrong' } },
    })
  })
  test('H13: what we did not foresee says nothing of itself, and is reported', async () => {
    const { say, internal } = open(ada, () => {
      throw new TypeError('secret path /etc')
    })
    const answer = await say(volume([7]))
    expect(answer.error).toMatchObject({ code: -32603, message: 'internal error' })
    expect(JSON.stringify(answer)).not.toContain('secret')
    expect(internal).toHaveLength(1)
  })
  test('a player that is away is -32010, one that is slow -32011', async () => {
    const codes = { 'player-unreachable': -32010, 'player-timeout': -32011 } as const
    for (const [code, number] of Object.entries(codes)) {
      const { say } = open(ada, () => {
        throw new Fault(code as keyof typeof codes, 'x')
      })
      expect(await say(volume([7]))).toMatchObject({ error: { code: number } })
    }
  })
})

describe('J11: an address the role may not use never reaches the player', () => {
  for (const uri of [
    'file:///etc/passwd',
    'http://127.0.0.1:6680/',
    'HTTP://x/',
    'rtsp://x',
    'm3u:..',
    'local:track:../x',
  ]) {
    test(uri, async () => {
      const { say, heard } = open(kim)
      for (const message of [
        request('core.tracklist.add', { uris: ['local:track:a', uri] }),
        request('core.tracklist.add', [null, null, [uri]]),
        request('core.library.lookup', { uris: [uri] }),
        request('core.library.get_images', [[uri]]),
        request('core.tracklist.add', { tracks: [{ __model__: 'Track', uri }] }),
      ]) {
        expect(await say(message)).toHaveProperty('error')
      }
      expect(heard).toEqual([])
    })
  }
})

describe('a notification', () => {
  test('J8: is judged and recorded like any other, and nobody is answered', async () => {
    const { say, heard, audit } = open(kim)
    const notification = (level: number) => ({ jsonrpc: '2.0', method: 'core.mixer.set_volume', params: [level] })
    expect(await say(notification(41))).toBeUndefined()
    expect(await say(notification(40))).toBeUndefined()
    expect(heard).toEqual([{ name: 'core.mixer.set_volume', args: { volume: 40 } }])
    expect(audit.map(({ outcome }) => outcome)).toEqual(['denied', 'allowed'])
  })
  test('hears nothing of unknown methods either', async () => {
    expect(await open().say({ jsonrpc: '2.0', method: 'core.nothing' })).toBeUndefined()
  })
})

describe('a person', () => {
  test('may send long messages for two megabytes at once, whatever is in them, and short ones still go', async () => {
    const { say, heard } = open(kim)
    const long = JSON.stringify(Array.from({ length: 50 }, () => request('core.playback.next'))).padEnd(200_000)
    for (let i = 0; i < 10; i++) await say(long)
    await expect(say(long)).rejects.toThrow('too many long messages')
    expect(await say(request('core.playback.get_state'))).toMatchObject({ result: {} })
    expect(heard).toHaveLength(1)
  })
})

describe('a batch', () => {
  test('stops asking when its answers fill it: nobody may make the house hold fifty queues at once', async () => {
    const { say, heard, audit } = open(ada, () => 'x'.repeat(1024 * 1024))
    const answers = await say(Array.from({ length: 50 }, (_, id) => request('core.tracklist.get_tl_tracks', [], id)))
    expect(heard).toHaveLength(4)
    expect(audit).toHaveLength(4)
    expect(answers.map(({ id }: { id: number }) => id)).toEqual(Array.from({ length: 50 }, (_, id) => id))
    const refused = answers.slice(4)
    expect(refused.every(({ error }: { error?: { data: { code: string } } }) => error?.data.code === 'too-large')).toBe(
      true,
    )
  })

  test('J3: is judged item by item, in order: the refused one has its own error, the others go', async () => {
    const { say, heard } = open(kim)
    const answers = await say([
      volume([39], 'a'),
      volume([41], 'b'),
      { jsonrpc: '2.0', method: 'core.mixer.set_volume', params: [38] },
      [volume([1], 'nested')],
      7,
      volume([40], 'c'),
    ])
    expect(
      answers.map((answer: { id: unknown; result?: unknown; error?: { code: number } }) => [
        answer.id,
        answer.result ?? answer.error?.code,
      ]),
    ).toEqual([
      ['a', { volume: 39 }],
      ['b', -32003],
      [null, -32600],
      [null, -32600],
      ['c', { volume: 40 }],
    ])
    expect(heard.map(({ args }) => args)).toEqual([{ volume: 39 }, { volume: 38 }, { volume: 40 }])
  })
  test('sends an item only after the answer to the one before', async () => {
    const order: string[] = []
    const { say } = open(ada, async ({ call }) => {
      order.push(`begin ${call.args.volume}`)
      await new Promise((resolve) => setImmediate(resolve))
      order.push(`end ${call.args.volume}`)
    })
    await say([volume([1]), volume([2])])
    expect(order).toEqual(['begin 1', 'end 1', 'begin 2', 'end 2'])
  })
  test('A9: ends for somebody whose sign-in ends in its middle', async () => {
    let by: Principal = ada
    const { say, heard } = open(
      () => by,
      () => {
        by = { kind: 'anonymous', from: '::1' }
      },
    )
    const answers = await say([volume([1]), volume([2])])
    expect(answers[1]).toMatchObject({ error: { code: -32001 } })
    expect(heard).toHaveLength(1)
  })
  test('of notifications alone has no answer', async () => {
    expect(await open().say([{ jsonrpc: '2.0', method: 'core.playback.pause' }])).toBeUndefined()
  })
  test('that is empty gets one error, not a list', async () => {
    expect(await open().say([])).toMatchObject({ id: null, error: { code: -32600 } })
  })
  test('of 50 passes, one of 51 is too large and none of it is sent', async () => {
    const { say, heard } = open()
    expect(await say(Array.from({ length: 50 }, () => volume([1])))).toHaveLength(50)
    await expect(say(Array.from({ length: 51 }, () => volume([2])))).rejects.toMatchObject({ code: 'too-large' })
    expect(heard).toHaveLength(50)
  })
})

test('what is no message at all is a fault for the door to put into its own words', async () => {
  const { say, heard } = open()
  await expect(say('{')).rejects.toMatchObject({ code: 'unparsable' })
  await expect(
    say('{"jsonrpc":"2.0","id":1,"method":"core.playback.get_state","method":"core.playback.stop"}'),
  ).rejects.toMatchObject({
    code: 'malformed',
  })
  expect(heard).toEqual([])
})

describe('core.describe', () => {
  test('is answered here, with the methods this person may use and no others', async () => {
    const { say, heard, audit } = open(kim)
    const { result } = await say(request('core.describe', undefined, 0))
    expect(result).toHaveProperty(['core.mixer.set_volume'])
    expect(result).not.toHaveProperty(['core.tracklist.clear'])
    expect(result).not.toHaveProperty(['core.playback.set_state'])
    expect(heard).toEqual([])
    expect(audit.map(({ operation, outcome }) => [operation, outcome])).toEqual([['core.describe', 'allowed']])
  })
  test('tells an owner of everything that is offered', async () => {
    const { result } = await open().say(request('core.describe'))
    expect(result).toHaveProperty(['core.tracklist.clear'])
    expect(result).not.toHaveProperty(['core.playback.set_state'])
  })
})
