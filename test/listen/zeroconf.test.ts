import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Ask, ask, type Reply } from './house.ts'
import { type LibrespotHouse, openLibrespotHouse, tokenOf } from './librespot.ts'

let house: LibrespotHouse
beforeAll(async () => {
  house = await openLibrespotHouse({ defaultPlayer: 'pi' })
})
afterAll(() => house.close())
beforeEach(() => {
  house.windows.clear()
  house.audit.length = 0
  house.alarms.length = 0
})

const info = '/players/pi/?action=getInfo'
const blob = Buffer.alloc(40, 1).toString('base64')
const clientKey = Buffer.alloc(96, 2).toString('base64')
const form = (fields: Readonly<Record<string, string>> = {}) =>
  new URLSearchParams({ action: 'addUser', userName: 'alice', blob, clientKey, ...fields }).toString()

function send({ as = '', headers = {}, ...more }: Ask & { readonly as?: string | undefined }): Promise<Reply> {
  return ask(house.port, {
    path: '/players/pi/',
    ...more,
    headers: {
      ...(as !== '' && { Authorization: `Bearer ${tokenOf(as)}` }),
      ...(more.body !== undefined && { 'Content-Type': 'application/x-www-form-urlencoded' }),
      ...headers,
    },
  })
}
const pair = (body: string | Uint8Array = form(), more: Parameters<typeof send>[0] = {}) =>
  send({ method: 'POST', body, ...more })

async function refused(status: number, reply: () => Promise<Reply>): Promise<Reply> {
  const before = house.pi.bytes
  const got = await reply()
  expect([got.status, got.text.slice(0, 300)]).toEqual([status, expect.any(String)])
  expect(house.pi.bytes, 'what the player got').toBe(before)
  return got
}

describe('getInfo', () => {
  test('tells who may see the status what it is, and neither who is there nor how to pair', async () => {
    const { status, text, json } = await send({ path: info, as: 'only status.read' })
    expect([status, json.remoteName]).toEqual([200, 'Kitchen'])
    expect(text).not.toMatch(/alice|d3adb33f|bGlicmVzcG90|65b708/)
  })

  test('tells how to pair while a window is open', async () => {
    house.windows.add('pi')
    const { json, text } = await send({ path: info, as: 'only status.read' })
    expect(json).toMatchObject({ publicKey: 'bGlicmVzcG90', deviceID: 'd3adb33f' })
    expect(text).not.toMatch(/alice/)
    expect(house.windows.has('pi')).toBe(true)
  })

  test.for([
    ['', 401],
    ['no status.read', 403],
  ] as const)('is not for %s', async ([as, status]) => {
    await refused(status, () => send({ path: info, as }))
    house.windows.add('pi')
    await refused(status, () => send({ path: info, as }))
  })

  test.for([
    '',
    '?',
    '?action=addUser',
    '?action=getInfo&action=getInfo',
    '?action=getinfo',
    '?Action=getInfo',
    '?action=getInfo&x=1',
    '?action=getInfo%00',
    '?action=getInfo;x',
    '?x=1&action=getInfo',
    '?action=resetUsers',
  ])('takes this query and no other: %s', async (query) => {
    await refused(400, () => send({ path: `/players/pi/${query}`, as: 'owner' }))
  })
})

describe('addUser', () => {
  test('outside of a window is refused to everybody, and raises an alarm', async () => {
    await refused(403, () => pair(form(), { as: 'owner' }))
    expect(house.alarms.map(({ by, operation }) => [by.kind === 'user' && by.name, operation.name])).toEqual([
      ['owner', 'POST /'],
    ])
    expect(house.audit).toMatchObject([
      { outcome: 'denied', reason: 'alarm', name: 'owner', capability: 'player.takeover' },
    ])
    await refused(401, () => pair())
    expect(house.audit.at(-1)).toMatchObject({ outcome: 'denied', reason: 'alarm', account: null, from: '127.0.0.1' })
  })

  test('in a window goes to the player once, from whoever comes first, and is recorded', async () => {
    house.windows.add('pi')
    const { status, json } = await pair(form({ deviceName: 'Alice’s phone' }))
    expect([status, json.status]).toEqual([200, 101])
    expect(house.pi.state.paired.at(-1)).toBe('alice')
    expect(house.audit).toMatchObject([{ outcome: 'allowed', operation: 'POST /', account: null }])
    await refused(401, () => pair())
    expect(house.windows.size).toBe(0)
  })

  test.for([
    ['a field too few', 'action=addUser&userName=alice'],
    ['a field too many', form({ x: '1' })],
    ['a field twice', `${form()}&userName=bob`],
    ['another action', form({ action: 'resetUsers' })],
    ['a short blob', form({ blob: Buffer.alloc(36).toString('base64') })],
    ['a blob that is not base64', form({ blob: '!'.repeat(60) })],
    ['base64 for URLs', form({ blob: '-_'.repeat(28) })],
    ['a long key', form({ clientKey: Buffer.alloc(97).toString('base64') })],
    ['no name', form({ userName: '' })],
    ['a name of two lines', form({ userName: 'a\nb' })],
    ['nothing', ''],
  ] as const)('with %s is refused, and leaves the window open', async ([, body]) => {
    house.windows.add('pi')
    await refused(400, () => pair(body))
    expect(house.windows.has('pi')).toBe(true)
  })

  test('of more than 4 kB is refused', async () => {
    house.windows.add('pi')
    await refused(413, () => pair(form({ blob: 'A'.repeat(4_000) })))
    expect(house.windows.has('pi')).toBe(true)
  })

  test.for(['application/json', 'text/plain', 'multipart/form-data; boundary=x'])('as %s is refused', async (type) => {
    house.windows.add('pi')
    await refused(415, () => pair(form(), { headers: { 'Content-Type': type } }))
    expect(house.windows.has('pi')).toBe(true)
  })

  test('with a query is refused', async () => {
    house.windows.add('pi')
    await refused(400, () => pair(form(), { path: '/players/pi/?action=addUser' }))
    expect(house.windows.has('pi')).toBe(true)
  })

  test('that another page makes a browser send is refused', async () => {
    house.windows.add('pi')
    for (const Origin of ['https://evil.example', 'null'])
      await refused(403, () => pair(form(), { headers: { Origin } }))
    await refused(421, () => pair(form(), { headers: { Host: 'evil.example' } }))
    expect(house.windows.has('pi')).toBe(true)
  })

  test('of somebody who is nobody any more is refused', async () => {
    house.windows.add('pi')
    await refused(401, () => pair(form(), { headers: { Authorization: 'Bearer !' } }))
    expect(house.windows.has('pi')).toBe(true)
  })

  test('of another player’s window is refused', async () => {
    house.windows.add('home')
    await refused(401, () => pair())
    expect(house.windows.has('home')).toBe(true)
  })

  test('two at once are one', async () => {
    house.windows.add('pi')
    const count = house.pi.state.paired.length
    const replies = await Promise.all([pair(), pair(), pair()])
    expect(replies.map(({ status }) => status).sort()).toEqual([200, 401, 401])
    expect(house.pi.state.paired.length).toBe(count + 1)
  })
})

test.for([
  ['PUT', '/players/pi/', 405],
  ['HEAD', '/players/pi/', 405],
  ['OPTIONS', '/players/pi/', 405],
  ['POST', '/players/pi', 404],
  ['POST', '/players/pi//', 404],
  ['GET', '/players/pi/status', 404],
  ['POST', '/players/attic/', 404],
  ['POST', '/', 405],
] as const)('%s %s is nothing: %i', async ([method, path, status]) => {
  house.windows.add('pi')
  await refused(status, () => send({ method, path, as: 'owner', ...(method === 'POST' && { body: form() }) }))
  expect(house.windows.has('pi')).toBe(true)
})
