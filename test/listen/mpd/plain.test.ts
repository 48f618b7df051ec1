import { connect } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { PlainEntrance } from '../../../src/listen/mpd/door.ts'
import { type Client, type FakeHouse, openFake, permission, roles, status } from './house.ts'

let house: FakeHouse
beforeEach(() => {
  house = openFake()
})
afterEach(() => house.close())

const listen = (where: Partial<PlainEntrance> & Pick<PlainEntrance, 'plain'>) =>
  house.door.listen({ host: '127.0.0.1', port: 0, ...where })
const dial = (port: number, host = '127.0.0.1'): Client => house.over(connect({ host, port }))

async function enter(port: number, password?: string): Promise<Client> {
  const client = dial(port)
  await client.hears('OK MPD 0.19.0\n')
  if (password !== undefined) await client.asks(`password ${password}\n`, 'OK\n')
  return client
}

const local = ['127.0.0.0/8']
const refused = `ACK [4@0] {clear} ${permission('clear', 'not allowed: queue.clear (empty the queue) is not granted by this door or token at home')}\n`

describe('the ceiling', () => {
  test('holds for an owner', async () => {
    const port = await listen({ plain: { from: local, roles: ['kid'] } })
    const owner = await enter(port, 'owner-1')
    await owner.asks('status\nclear\nkill\n', `${status}${refused}`)
    await owner.hears(
      `ACK [4@0] {kill} ${permission('kill', 'not allowed: server.admin (configuration, mounts, kill, partitions, device name: whatever outlives a song) is not granted by this door or token at home')}\n`,
    )
    await owner.asks('setvol 41\n', `ACK [4@0] {setvol} ${permission('setvol', 'not allowed: maxVolume 40')}\n`)
    await owner.asks('command_list_begin\nstatus\nclear\ncommand_list_end\n', refused.replace('@0', '@1'))
    expect(house.home.lines).toEqual(['status'])
    // Nor has the last places of the player
    expect(house.home.sides.map(({ person }) => person)).toEqual([{ id: 'owner', reserve: false }])
  })

  test('holds after a password again, from whomever to whomever', async () => {
    const port = await listen({ plain: { from: local, roles: ['kid'] } })
    const one = await enter(port, 'kid-1')
    await one.asks('password owner-1\nclear\n', `OK\n${refused}`)
    await one.asks('password owner-2\nclear\n', `OK\n${refused}`)
    await one.asks('password wrong\nclear\n', `ACK [3@0] {password} incorrect password\n${refused}`)
    await one.asks('partition bath\nclear\n', `OK\n${refused.replace(' at home', ' at bath')}`)
    expect(house.home.lines).toEqual([])
  })

  test('holds after each look at the account, and after its roles have changed', async () => {
    const port = await listen({ plain: { from: local, roles: ['kid'] } })
    const one = await enter(port, 'guest-1')
    await one.asks(
      'clear\n',
      `ACK [4@0] {clear} ${permission('clear', 'not allowed: queue.clear (empty the queue) is not granted by this door or token at home')}\n`,
    )
    house.rolesOf.set('guest', ['owner'])
    house.change()
    await one.asks('status\nclear\n', `${status}${refused}`)
    for (let i = 0; i < 3; i++) house.change()
    await one.asks('clear\n', refused)
  })

  test('gives nobody more than the own roles allow', async () => {
    const port = await listen({ plain: { from: local, roles: ['owner'] } })
    const kid = await enter(port, 'kid-1')
    await kid.asks('clear\nstatus\n', `${refused}${status}`)
  })

  test('of a role that is not there allows nothing', async () => {
    const port = await listen({ plain: { from: local, roles: ['nobody'] } })
    const owner = await enter(port, 'owner-1')
    await owner.asks(
      'status\n',
      `ACK [4@0] {status} ${permission('status', 'not allowed: status.read (see what is playing, the volume, the options and the progress, and hear about changes) is not granted by this door or token at home')}\n`,
    )
    await owner.asks('listpartitions\n', 'OK\n')
  })

  test('is what commands and idle go by', async () => {
    house.roles = { ...roles, low: { grants: [{ allow: ['status.read'] }] } }
    const port = await listen({ plain: { from: local, roles: ['low'] } })
    const owner = await enter(port, 'owner-1')
    owner.send('commands\n')
    await owner.hears('command: close\ncommand: commands\ncommand: idle\ncommand: listpartitions\n')
    await owner.hears('command: notcommands\ncommand: partition\ncommand: password\ncommand: ping\n')
    await owner.hears('command: status\ncommand: tagtypes\nOK\n')
    owner.send('idle database mixer\n')
    await owner.asks('noidle\nping\n', 'OK\nOK\n')
    house.home.change('database', 'mixer')
    await owner.asks('idle database mixer\n', 'changed: mixer\nOK\n')
  })

  test('is nothing to who comes by TLS or otherwise', async () => {
    await listen({ plain: { from: local, roles: ['kid'] } })
    const owner = await house.client('owner-1')
    await owner.asks('clear\n', 'OK\n')
  })
})

describe('only device tokens', () => {
  test('an access token is not taken, and where there is TLS it is', async () => {
    const port = await listen({ plain: { from: local, roles: ['owner'] } })
    const one = await enter(port)
    await one.asks('password jwt-owner\nclear\n', 'ACK [3@0] {password} incorrect password\n')
    await one.hears(`ACK [4@0] {clear} ${permission('clear', 'sign in first')}\n`)
    expect(house.shown).toEqual([{ kind: 'mpd', password: 'jwt-owner', plain: true }])
    const other = await house.client('jwt-owner')
    await other.asks('clear\n', 'OK\n')
    expect(house.shown.at(-1)).toEqual({ kind: 'mpd', password: 'jwt-owner' })
  })

  test('not even after one was taken', async () => {
    const port = await listen({ plain: { from: local, roles: ['kid'] } })
    const one = await enter(port, 'kid-1')
    await one.asks('password jwt-owner\n', 'ACK [3@0] {password} incorrect password\n')
    expect(house.shown.every((credential) => credential.kind === 'mpd' && credential.plain === true)).toBe(true)
  })
})

describe('who may come in', () => {
  test('who comes from elsewhere gets not a byte, and takes no place', async () => {
    const port = await listen({
      bounds: () => ({ connections: 1 }),
      plain: { from: ['10.0.0.0/8', 'fd00::/8'], roles: ['kid'] },
    })
    const crowd = [1, 2, 3].map(() => dial(port))
    for (const one of crowd) {
      one.send('password owner-1\n')
      await one.end()
      expect(one.rest).toBe('')
    }
    expect(house.shown).toEqual([])
    expect(house.logged.map(({ text }) => text)).not.toContain('the MPD door has no place left for a connection')
  })

  test('an IPv4 address is one also where the door listens on IPv6', async () => {
    const inside = await listen({ host: '::', plain: { from: local, roles: ['kid'] } })
    await enter(inside, 'kid-1')
    const outside = await listen({ host: '::', plain: { from: ['::1/128'], roles: ['kid'] } })
    const one = dial(outside)
    await one.end()
    expect(one.rest).toBe('')
    await dial(outside, '::1').hears('OK MPD 0.19.0\n')
  })

  test('a range that is none opens no door', async () => {
    await expect(listen({ plain: { from: ['10.0.0.0/8', '127.0.0.1'], roles: ['kid'] } })).rejects.toThrow(
      'not a range of addresses: "127.0.0.1"',
    )
  })
})

describe('the log', () => {
  test('has a warning as the door opens, and one for each token that came by it', async () => {
    const port = await listen({ plain: { from: local, roles: ['kid'] } })
    for (const password of ['owner-1', 'owner-1', 'kid-2']) await enter(port, password)
    await (await enter(port)).asks('password wrong\n', 'ACK [3@0] {password} incorrect password\n')
    const clear = 'a device token came over the network in the clear'
    expect(house.logged).toEqual([
      {
        about: { host: '127.0.0.1', port, from: local, roles: ['kid'] },
        text: 'MPD without TLS: device tokens can be read on the network',
      },
      { about: { account: 'owner', name: 'owner', session: 'owner-1', from: '127.0.0.1' }, text: clear },
      { about: { account: 'kid', name: 'kid', session: 'kid-2', from: '127.0.0.1' }, text: clear },
    ])
  })

  test('has no word of tokens that came otherwise', async () => {
    await house.client('owner-1')
    expect(house.logged).toEqual([])
  })
})
