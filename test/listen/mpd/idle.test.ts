import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createIdle } from '../../../src/listen/mpd/idle.ts'
import { subsystems } from '../../../src/protocol/mpd/events.ts'
import { type FakeHouse, openFake, roles, status } from './house.ts'

const turn = () => new Promise((resolve) => setImmediate(resolve))

describe('one client', () => {
  const hidden = new Set<string>()
  let told: (readonly string[])[]
  const open = () =>
    createIdle({ maySee: (name) => subsystems.has(name) && !hidden.has(name), tell: (names) => told.push(names) })
  beforeEach(() => {
    told = []
    hidden.clear()
  })

  test('what changed before it waits is told at once', () => {
    const idle = open()
    idle.mark('mixer')
    expect(told).toEqual([])
    idle.wait(['player', 'mixer'])
    expect(told).toEqual([['mixer']])
    expect(idle.waits).toBe(false)
  })

  test('an answer forgets everything, also what was not asked for', async () => {
    const idle = open()
    idle.mark('player')
    idle.mark('mixer')
    idle.wait(['mixer'])
    idle.wait([])
    await turn()
    expect(told).toEqual([['mixer']])
    expect(idle.waits).toBe(true)
  })

  test('leaving forgets nothing', () => {
    const idle = open()
    idle.wait(['mixer'])
    idle.mark('player')
    idle.mark('mixer')
    idle.leave()
    expect(told).toEqual([])
    idle.wait([])
    expect(told).toEqual([['player', 'mixer']])
  })

  test('what changes together is told together, in the order of MPD', async () => {
    const idle = open()
    idle.wait([])
    for (const name of [...subsystems.keys()].reverse()) idle.mark(name)
    await turn()
    expect(told).toEqual([
      [
        ...['database', 'stored_playlist', 'playlist', 'player', 'mixer', 'output', 'options', 'sticker'],
        ...['update', 'subscription', 'message', 'neighbor', 'mount', 'partition'],
      ],
    ])
  })

  test('what it may not see and what nobody knows wakes it not', async () => {
    hidden.add('database')
    const idle = open()
    idle.wait([])
    idle.mark('database')
    idle.mark('nonsense')
    await turn()
    expect(told).toEqual([])
    idle.mark('mixer')
    await turn()
    expect(told).toEqual([['mixer']])
  })

  test('whether it may see is asked when there is something to tell', async () => {
    const idle = open()
    idle.mark('database')
    hidden.add('database')
    idle.wait([])
    idle.mark('database')
    await turn()
    expect(told).toEqual([])
  })

  test('what was forgotten is not told', async () => {
    const idle = open()
    idle.mark('mixer')
    idle.forget()
    idle.wait([])
    await turn()
    expect(told).toEqual([])
  })
})

describe('at the door', () => {
  let house: FakeHouse
  beforeEach(() => {
    house = openFake()
  })
  afterEach(() => house.close())

  test('the player hears nothing of it, and each is told only what it may see and asked for', async () => {
    const kid = await house.client('kid-1')
    const owner = await house.client('owner-1')
    kid.send('idle player database playlist sticker\n')
    owner.send('idle database\n')
    await turn()
    house.home.change('database')
    await owner.hears('changed: database\nOK\n')
    expect(kid.rest).toBe('')
    house.home.change('mixer', 'playlist')
    await kid.hears('changed: playlist\nOK\n')
    expect(house.home.lines).toEqual([])
  })

  test('one change wakes everybody who may see it', async () => {
    const kids = await Promise.all(Array.from({ length: 50 }, () => house.client('kid-1')))
    const guest = await house.client('guest-1')
    for (const one of [...kids, guest]) one.send('idle mixer\n')
    await turn()
    house.home.change('mixer')
    await Promise.all(kids.map((kid) => kid.hears('changed: mixer\nOK\n')))
    // A guest has no status.read: not even an idle.
    await guest.hears('ACK [4@0] {idle} ')
  })

  test('what changed before sign-in is no news, and what changed since then is', async () => {
    const first = await house.client('owner-1')
    house.home.change('mixer')
    const second = await house.client('owner-2')
    await first.asks('idle mixer\n', 'changed: mixer\nOK\n')
    await second.asks('idle mixer\nnoidle\n', 'OK\n')
  })

  test('what changes between an answer and the next idle is told by the next', async () => {
    const owner = await house.client('owner-1')
    await owner.asks('status\n', status)
    house.home.change('player', 'mixer')
    await owner.asks('idle\n', 'changed: player\nchanged: mixer\nOK\n')
    await owner.asks('idle\nnoidle\nping\n', 'OK\nOK\n')
  })

  test('a player that is down lets them sleep, and tells everything when it is back', async () => {
    const kid = await house.client('kid-1')
    house.home.up = false
    kid.send('idle player mixer database\n')
    await turn()
    expect(kid.rest).toBe('')
    house.home.change(...subsystems.keys())
    await kid.hears('changed: player\nchanged: mixer\nOK\n')
  })

  test('a role that was taken away meanwhile hears nothing', async () => {
    const kid = await house.client('kid-1')
    house.home.change('mixer')
    house.roles = { ...roles, kid: { grants: [{ allow: ['status.read'], on: ['bath'] }] } }
    await kid.asks(
      'idle mixer\n',
      `ACK [4@0] {idle} you don't have permission for "idle": not allowed: status.read (see what is playing, the volume, the options and the progress, and hear about changes) is not granted to kid at home\n`,
    )
    house.roles = roles
    kid.send('idle mixer\n')
    await kid.hears('changed: mixer\nOK\n')
    kid.send('idle\n')
    await turn()
    house.roles = { ...roles, kid: { grants: [{ allow: ['queue.read'] }] } }
    house.home.change('mixer', 'options')
    await turn()
    expect(kid.rest).toBe('')
    await kid.asks('noidle\n', 'OK\n')
  })

  test('an account whose roles changed meanwhile hears nothing of what it may not see now', async () => {
    const owner = await house.client('owner-1')
    owner.send('idle database mixer\n')
    await turn()
    house.rolesOf.set('owner', ['kid'])
    house.change()
    house.home.change('database')
    await turn()
    expect(owner.rest).toBe('')
    house.home.change('mixer')
    await owner.hears('changed: mixer\nOK\n')
  })

  test('the next person of a connection is told nothing of before', async () => {
    const one = await house.client('owner-1')
    house.home.change('mixer')
    await one.asks('password kid-1\nidle mixer\nnoidle\n', 'OK\nOK\n')
    // And the same person as before, by whichever token, misses nothing.
    house.home.change('mixer')
    await one.asks('password kid-2\nidle mixer\n', 'OK\nchanged: mixer\nOK\n')
  })

  test('what happens in one partition is not told in another', async () => {
    const owner = await house.client('owner-1')
    house.home.change('update')
    await owner.asks('partition bath\n', 'OK\n')
    house.home.change('mixer', 'message')
    await owner.asks('idle update message\nnoidle\n', 'OK\n')
    owner.send('idle update mount\n')
    await turn()
    house.home.change('update', 'mount')
    await turn()
    expect(owner.rest).toBe('')
    house.bath.change('mount')
    await owner.hears('changed: mount\nOK\n')
  })

  test('after a move everything of that player is news', async () => {
    const owner = await house.client('owner-1')
    await owner.asks('partition bath\nidle\n', 'OK\nchanged: database\nchanged: stored_playlist\nchanged: playlist\n')
    await owner.hears('changed: player\nchanged: mixer\nchanged: output\nchanged: options\nchanged: sticker\nOK\n')
    await owner.asks('partition bath\nidle\nnoidle\n', 'OK\nOK\n')
  })

  test('who may see nothing of it waits until noidle', async () => {
    const kid = await house.client('kid-1')
    kid.send('idle database\n')
    house.home.change('database')
    await kid.asks('noidle\nping\n', 'OK\nOK\n')
  })

  test('an unknown subsystem is refused: Mopidy would wait for it forever', async () => {
    const owner = await house.client('owner-1')
    owner.send('idle foo\nping\n')
    await owner.hears('ACK [2@0] {idle} ')
    expect(owner.rest).toMatch(/\nOK\n$/)
  })

  test('M4: noidle and commands in one packet', async () => {
    const owner = await house.client('owner-1')
    await owner.asks('idle player\nnoidle\nstatus\nidle\nnoidle\nnoidle\nstatus\n', `OK\n${status}OK\n${status}`)
  })

  test('M4: a noidle with a blank behind it is one', async () => {
    const owner = await house.client('owner-1')
    await owner.asks('idle player\nnoidle \nping\n', 'OK\nOK\n')
  })

  test('M4: a noidle that crosses a change gets one answer', async () => {
    const owner = await house.client('owner-1')
    for (let i = 0; i < 20; i++) {
      owner.send('idle player\n')
      await turn()
      house.home.change('player')
      await turn() // The answer is on its way and the client has not read it.
      owner.send('noidle\nstatus\n')
      await owner.hears('changed: player\nOK\n')
      await owner.hears(status)
      // The other way round the change waits for the next idle.
      owner.send('idle player\nnoidle\n')
      await turn()
      house.home.change('player')
      await owner.asks('idle player\n', 'OK\nchanged: player\nOK\n')
    }
  })

  test.each(['clear\n', 'idle\n', 'close\n', 'ping\n', 'noidle x\n', 'idle\nnoidle\n'])(
    'M4: %j while idle ends the connection',
    async (line) => {
      const owner = await house.client('owner-1')
      owner.send('idle player\n')
      owner.send(line)
      await owner.end()
      expect(owner.rest).toBe('')
      expect(house.home.lines).toEqual([])
      expect(house.home.sides[0]?.closed).toBe(true)
    },
  )

  test('noidle without idle has no answer', async () => {
    const owner = await house.client('owner-1')
    await owner.asks('noidle\nping\n', 'OK\n')
  })
})
