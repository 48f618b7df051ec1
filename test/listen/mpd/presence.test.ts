import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type FakeHouse, openFake, permission, roles, status, until } from './house.ts'

let house: FakeHouse
beforeEach(() => {
  house = openFake()
})
afterEach(() => house.close())

describe('partitions are the players', () => {
  test('listed are those this person may use, and partition moves there', async () => {
    const owner = await house.client('owner-1')
    await owner.asks('listpartitions\n', 'partition: home\npartition: bath\nOK\n')
    await owner.asks('setvol 1\npartition bath\nsetvol 2\n', 'OK\nOK\nOK\n')
    expect([house.home.lines, house.bath.lines]).toEqual([['setvol "1"'], ['setvol "2"']])
    expect(house.home.sides[0]?.closed).toBe(true)
    expect(house.records.at(-1)?.player).toBe('bath')
  })

  test('one that this person may not use is as good as none', async () => {
    const guest = await house.client('guest-1')
    await guest.asks('listpartitions\n', 'partition: home\nOK\n')
    await guest.asks('partition bath\npartition nowhere\n', 'ACK [2@0] {partition} no such partition\n'.repeat(2))
  })

  test('who may use only another player than the first begins there', async () => {
    const one = await house.client('bath-1')
    await one.asks('setvol 9\n', 'OK\n')
    expect([house.home.lines, house.bath.lines]).toEqual([[], ['setvol "9"']])
  })

  test('the next person of a connection is not left where it may not be', async () => {
    const one = await house.client('owner-1')
    await one.asks('partition bath\npassword guest-1\n', 'OK\nOK\n')
    await one.asks('lsinfo\n', 'OK\n')
    expect([house.home.lines, house.bath.lines]).toEqual([['lsinfo'], []])
  })

  test('one that a newer configuration took away is left for one that this person may use', async () => {
    const owner = await house.client('owner-1')
    await owner.asks('status\n', status)
    house.roles = { ...roles, owner: { grants: [{ allow: ['*'], on: ['bath'] }] } }
    await until(() => house.bath.sides.length === 1)
    await owner.asks('setvol 9\n', 'OK\n')
    expect([house.bath.lines, house.home.sides[0]?.closed]).toEqual([['setvol "9"'], true])
    // Nor is it left for nowhere, again and again.
    house.roles = { ...roles, owner: { grants: [] } }
    const missing = 'not allowed: volume.set (change the volume, mute and unmute) is not granted to owner at bath'
    await owner.asks('setvol 9\n', `ACK [4@0] {setvol} ${permission('setvol', missing)}\n`)
    expect(house.bath.sides.map(({ closed }) => closed)).toEqual([false])
  })

  const why = 'the partitions are the players of the configuration'
  test.each([
    ['newpartition', 'newpartition attic', why],
    ['delpartition', 'delpartition bath', why],
    ['moveoutput', 'moveoutput "Speakers"', 'an output stays with its player'],
  ])('%s is refused to the owner as well, with the reason', async (name, line, reason) => {
    const owner = await house.client('owner-1')
    await owner.asks(`${line}\n`, `ACK [4@0] {${name}} ${permission(name, `not offered here: ${reason}`)}\n`)
    expect(house.home.lines).toEqual([])
  })
})

describe('what a connection set for itself', () => {
  const set = 'tagtypes clear\nbinarylimit 8192\nsubscribe news\n'
  const plain = ['tagtypes clear', 'binarylimit "8192"']

  test('comes along to another player', async () => {
    const owner = await house.client('owner-1')
    await owner.asks(`${set}partition bath\n`, 'OK\n'.repeat(4))
    expect(house.bath.sides[0]?.replayed).toEqual([...plain, 'subscribe "news"'])
    await owner.asks('partition home\n', 'OK\n')
    expect(house.home.sides[1]?.replayed).toEqual([...plain, 'subscribe "news"'])
  })

  test('comes along to a player only as far as one may there', async () => {
    house.roles = { ...roles, kid: { grants: [{ allow: ['*'], on: ['home'] }, { allow: ['status.read'] }] } }
    const kid = await house.client('kid-1')
    await kid.asks(`${set}partition bath\n`, 'OK\n'.repeat(4))
    expect(house.bath.sides[0]?.replayed).toEqual(plain)
  })

  test('holds for the next person of the connection, and its channels do not', async () => {
    const one = await house.client('owner-1')
    house.roles = { ...roles, kid: { grants: [{ allow: ['*'] }] } }
    await one.asks(`${set}password kid-1\n`, 'OK\n'.repeat(4))
    expect(house.home.sides.map(({ replayed, closed }) => [replayed, closed])).toEqual([
      [[], true],
      [plain, false],
    ])
  })

  test('holds for the same person with another token, channels included', async () => {
    const one = await house.client('owner-1')
    await one.asks(`${set}password owner-2\n`, 'OK\n'.repeat(4))
    expect(house.home.sides[1]?.replayed).toEqual([...plain, 'subscribe "news"'])
  })

  test('is given up as far as an account with other roles may not have it any more', async () => {
    const owner = await house.client('owner-1')
    await owner.asks(set, 'OK\n'.repeat(3))
    house.rolesOf.set('owner', ['kid'])
    house.change()
    await until(() => house.home.sides.length > 1)
    expect(house.home.sides.map(({ replayed, closed, person }) => [replayed, closed, person.reserve])).toEqual([
      [[], true, true],
      [plain, false, false],
    ])
    await owner.asks('setvol 41\n', `ACK [4@0] {setvol} ${permission('setvol', 'not allowed: maxVolume 40')}\n`)
    await owner.asks('status\n', status)
  })

  test('a change of roles breaks no answer off: what it takes away goes after that', async () => {
    const owner = await house.client('owner-1')
    const { promise, resolve } = Promise.withResolvers<void>()
    house.home.answer = async function* () {
      yield 'volume: 50\n'
      await promise
      yield 'OK\n'
    }
    owner.send('status\n')
    await owner.hears('volume: 50\n')
    house.rolesOf.set('owner', ['kid'])
    house.change()
    expect(house.home.sides).toHaveLength(1)
    resolve()
    await owner.hears('OK\n')
    await until(() => house.home.sides[0]?.closed === true && house.home.sides.length === 2)
  })

  test('an account that stays as it is keeps its side of the player', async () => {
    const owner = await house.client('owner-1')
    for (let i = 0; i < 3; i++) house.change()
    await owner.asks('status\n', status)
    expect(house.home.sides.map(({ closed }) => closed)).toEqual([false])
  })
})
