import type { Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createMpd } from '../../../src/upstream/mpd.ts'
import type { MpdPlayer } from '../../../src/upstream/player.ts'
import { type FakeMpd, startFakeMpd } from '../../upstream/fakempd.ts'
import { openHouse, status } from './house.ts'

let fake: FakeMpd
let bath: FakeMpd
let players: { home: MpdPlayer; bath: MpdPlayer }
let house: ReturnType<typeof openHouse<MpdPlayer>>

beforeEach(async () => {
  fake = await startFakeMpd()
  bath = await startFakeMpd()
  players = {
    home: createMpd({ host: fake.host, port: fake.port, limits: { retryFirstMs: 10, answerMs: 300 } }),
    bath: createMpd({ host: bath.host, port: bath.port }),
  }
  await fake.until(() => players.home.up && players.bath.up)
  house = openHouse(players)
})
afterEach(async () => {
  await house.close()
  await Promise.all([players.home.close(), players.bath.close()])
  await Promise.all([fake.close(), bath.close()])
})

describe('a client at a player on the wire', () => {
  test('M8: a binary answer comes through unbroken, whatever is in it', async () => {
    const owner = await house.client('owner-1')
    const bytes = Buffer.from([...Buffer.from('OK\nACK [5@0] {} x\nlist_OK\n'), ...Array(256).keys()])
    const answer = Buffer.concat([
      Buffer.from(`size: ${bytes.length}\nbinary: ${bytes.length}\n`),
      bytes,
      Buffer.from('\nOK\n'),
    ])
    fake.answer = (_line: string, socket: Socket) => {
      socket.write(answer.subarray(0, 30), () => socket.write(answer.subarray(30)))
      return undefined
    }
    await owner.asks('albumart local:x 0\n', answer.toString('latin1'))
    fake.answer = () => 'OK\n'
    await owner.asks('clear\n', 'OK\n')
  })

  test('M8: a piece of another length than announced is no answer', async () => {
    const owner = await house.client('owner-1')
    fake.answer = () => 'size: 9\nbinary: 3\nabcdefghi\nOK\n'
    owner.send('albumart local:x 0\n')
    await owner.hears('ACK [52@0] {albumart} the player sent')
  })

  test('ACK [0@0] is made legal', async () => {
    const owner = await house.client('owner-1')
    fake.answer = () => 'ACK [0@0] {crossfade} Not implemented\n'
    await owner.asks('crossfade 3\n', 'ACK [5@0] {crossfade} Not implemented\n')
  })

  test('one that dies before the answer to a change is an ACK 52, and the change is not sent twice', async () => {
    const owner = await house.client('owner-1')
    fake.answer = () => undefined
    owner.send('clear\n')
    await fake.until(() => fake.lines.includes('clear'))
    fake.kill()
    await owner.hears('ACK [52@0] {clear} ')
    fake.answer = () => 'OK\n'
    await fake.until(() => players.home.up)
    await owner.hears(owner.rest)
    await owner.asks('play\n', 'OK\n')
    expect(fake.lines.filter((line) => line === 'clear')).toHaveLength(1)
  })

  test('one that dies amid its answer ends the connection: no one knows where it stood', async () => {
    const owner = await house.client('owner-1')
    fake.answer = (_line: string, socket: Socket) => {
      socket.write('volume: 50\n')
      return undefined
    }
    owner.send('status\nclear\n')
    await owner.hears('volume: 50\n')
    fake.kill()
    await owner.end()
    expect(owner.rest).toBe('')
    expect(fake.lines).not.toContain('clear')
  })

  test('half an answer and then silence ends the connection too', async () => {
    const owner = await house.client('owner-1')
    fake.answer = () => 'volume: 50\n'
    owner.send('status\n')
    await owner.hears('volume: 50\n')
    await owner.end()
  })

  test('silence is an ACK 52', async () => {
    const owner = await house.client('owner-1')
    fake.answer = () => undefined
    await owner.asks('status\n', 'ACK [52@0] {status} the player did not answer in time\n')
  })

  test('one that is down is an ACK 52 for commands and lists, lets idlers sleep, and wakes them when it is back', async () => {
    const owner = await house.client('owner-1')
    const idler = await house.client('kid-1')
    idler.send('idle player mixer database\n')
    await fake.close()
    await fake.until(() => !players.home.up)
    const why = 'the player cannot be reached\n'
    await owner.asks('status\n', `ACK [52@0] {status} ${why}`)
    await owner.asks('command_list_begin\nclear\nstatus\ncommand_list_end\n', `ACK [52@0] {clear} ${why}`)
    await owner.asks('ping\n', 'OK\n')
    expect(idler.rest).toBe('')
    await fake.reopen()
    await idler.hears('changed: player\nchanged: mixer\nOK\n')
    await owner.asks('status\n', status)
  })

  test('a change at the player wakes everybody at once', async () => {
    const kids = await Promise.all(Array.from({ length: 30 }, () => house.client('kid-1')))
    for (const kid of kids) kid.send('idle mixer\n')
    await new Promise((resolve) => setImmediate(resolve))
    fake.change('mixer')
    await Promise.all(kids.map((kid) => kid.hears('changed: mixer\nOK\n')))
  })

  test('what a client set for its connection goes before what it asks, wherever that is asked', async () => {
    const owner = await house.client('owner-1')
    await owner.asks('tagtypes clear\ntagtypes enable Title\nplaylistinfo\n', 'OK\nOK\nOK\n')
    const before = fake.lines.length
    fake.kill()
    await fake.until(() => !players.home.up)
    await fake.until(() => players.home.up)
    await owner.asks('playlistinfo\n', 'OK\n')
    const after = fake.lines.slice(before)
    expect(after.filter((line) => /^(tagtypes (clear|enable)|playlistinfo)/.test(line))).toEqual([
      'tagtypes clear',
      'tagtypes enable "Title"',
      'playlistinfo',
    ])
  })
})
