import { expect } from 'vitest'
import { until } from '../real/tools.ts'
import { type MpdClient, openMpd } from './clients.ts'
import { attack, type House, type HouseOptions, openHouse, type Person, type Row } from './harness.ts'
import { found, type Puppet, picture, song, startPuppet } from './puppet.ts'

let puppet: Puppet

/** Looks into the queue and not into what plays. */
const blind = { grants: [{ allow: ['queue.read', 'library.read'] }] }
/** Sees of the queue what is local. */
const near = { grants: [{ allow: ['status.read', 'queue.read'], when: { uriSchemes: ['local'] } }] }

async function openPuppetHouse(options: HouseOptions) {
  puppet = await startPuppet()
  const house = await openHouse({
    ...options,
    mpd: puppet.address,
    change: (config) => ({ ...config, roles: { ...config.roles, blind, near } }),
  })
  const close = async () => {
    await house.close()
    await puppet.close()
  }
  return { ...house, close }
}

const open = (house: House, person: Person, count: number) =>
  Promise.all(Array.from({ length: count }, () => openMpd(house, person)))

/** So many bytes of one answer to `playlistinfo`. */
const fill = (bytes: number) => {
  const uri = `local:track:${'x'.repeat(2_000)}`
  puppet.queue = Array.from({ length: bytes / (2 * uri.length) }, () => uri)
}

/** A client that asks for very much and takes nothing of it. */
async function openSlow(house: House, person: Person): Promise<MpdClient> {
  const mpd = await openMpd(house, person)
  mpd.socket.pause()
  mpd.send('playlistinfo\n')
  return mpd
}

/** Waits until as many asked as there should be, or were refused a line. */
const asked = (count: number) =>
  until(() => puppet.heard.filter((line) => line === 'playlistinfo').length >= count || undefined)

const places = /^ACK \[52@0\] \{subscribe\} \P{Cc}+\n$/u

/** Each row finds the player honest. */
const calmly = (rows: readonly Row[]): Row[] =>
  rows.map((row) => ({
    ...row,
    async run(house) {
      Object.assign(puppet, { trick: undefined, queue: [] })
      await row.run(house)
    },
  }))

attack(
  'Sharing',
  calmly([
    {
      id: 'S1',
      attack: 'the tags that one chose, in the answers of another',
      async run(house) {
        const [mine, theirs, plain] = await Promise.all([
          openMpd(house, house.member),
          openMpd(house, house.owner),
          openMpd(house, house.kid),
        ])
        expect(await mine.ask('tagtypes clear\n')).toBe('OK\n')
        expect(await theirs.ask('command_list_begin\ntagtypes clear\ntagtypes enable Genre\ncommand_list_end\n')).toBe(
          'OK\n',
        )
        for (let i = 0; i < 40; i++) {
          const ask = (mpd: MpdClient) => mpd.ask(`playlistfind title same${i % 3}\n`)
          const [none, genre, all] = await Promise.all([ask(mine), ask(theirs), ask(plain)])
          const mark = `same${i % 3}`
          expect(none).toBe(`${song(mark, new Set())}OK\n`)
          expect(genre).toBe(`${song(mark, new Set(['Genre']))}OK\n`)
          expect(all).toBe(found(mark))
        }
        expect(await plain.ask('tagtypes\n')).toBe('tagtype: Artist\ntagtype: Title\ntagtype: Genre\nOK\n')
        expect(await mine.ask('tagtypes\n')).toBe('OK\n')
        expect(await mine.ask('tagtypes all\n')).toBe('OK\n')
        expect(await mine.ask('playlistfind title x\n')).toBe(found('x'))
        expect(await theirs.ask('tagtypes\n')).toBe('tagtype: Genre\nOK\n')
        for (const mpd of [mine, theirs, plain]) mpd.close()
      },
    },
    {
      id: 'S2',
      attack: 'the binary limit that one chose, for the pictures of another',
      async run(house) {
        const [mine, theirs] = await Promise.all([openMpd(house, house.member), openMpd(house, house.owner)])
        expect(await mine.ask('binarylimit 64\n')).toBe('OK\n')
        const pieceOf = async (mpd: MpdClient, uri: string) => {
          mpd.send(`albumart ${uri} 0\n`)
          const limit = mpd === mine ? 64 : 8192
          const head = `size: 20000\nbinary: ${limit}\n`
          const answer = await mpd.next()
          expect(answer).toBe(`${head}${picture(uri).subarray(0, limit).toString()}\nOK\n`)
        }
        for (let i = 0; i < 20; i++) await Promise.all([pieceOf(mine, `mine${i}`), pieceOf(theirs, `theirs${i}`)])
        for (const mpd of [mine, theirs]) mpd.close()
      },
    },
    {
      id: 'S3',
      attack: 'settings in a list that failed halfway, or was refused',
      async run(house) {
        const [mine, theirs] = await Promise.all([openMpd(house, house.owner), openMpd(house, house.member)])
        const list = 'command_list_begin\ntagtypes clear\nplay 99\ntagtypes all\ncommand_list_end\n'
        expect(await mine.ask(list)).toMatch(/^ACK \[2@1\] \{play\}/)
        // What came before the error is in force, as it is at a connection of one's own.
        for (let i = 0; i < 10; i++) {
          const [none, all] = await Promise.all([
            mine.ask('playlistfind title x\n'),
            theirs.ask('playlistfind title x\n'),
          ])
          expect(none).toBe(`${song('x', new Set())}OK\n`)
          expect(all).toBe(found('x'))
        }
        // Refused as a whole: nothing is in force.
        expect(await theirs.ask('command_list_begin\ntagtypes clear\nkill\ncommand_list_end\n')).toMatch(/^ACK \[4@1\]/)
        expect(await theirs.ask('playlistfind title y\n')).toBe(found('y'))
        for (const mpd of [mine, theirs]) mpd.close()
      },
    },
    {
      id: 'S4',
      attack: 'clients that go in the middle of an answer, a list, a setting, an idle',
      async run(house) {
        fill(4 * 2 ** 20)
        const theirs = await openMpd(house, house.owner)
        for (const last of [
          'playlistinfo\n',
          'command_list_begin\ntagtypes clear\nplaylistinfo\n',
          'command_list_ok_begin\ntagtypes clear\nplaylistfind title mine\ncommand_list_end\n',
          'tagtypes clear\nplaylistfind title mine\n',
          'binarylimit 64\nalbumart mine 0\n',
          'idle\n',
          'idle\nnoidle\nidle mixer\n',
          'subscribe mine\n',
          'playlistfind title "mi',
        ]) {
          for (const wait of [0, 1, 5, 20]) {
            const mpd = await openMpd(house, house.member)
            mpd.send(last)
            const asked = theirs.ask('playlistfind title theirs\n')
            setTimeout(() => (wait % 2 ? mpd.socket.end() : mpd.close()), wait)
            expect(await asked, last).toBe(found('theirs'))
            await mpd.end()
          }
        }
        for (let i = 0; i < 20; i++) {
          expect(await theirs.ask('playlistfind title theirs\n')).toBe(found('theirs'))
          expect(await theirs.ask('tagtypes\n')).toBe('tagtype: Artist\ntagtype: Title\ntagtype: Genre\nOK\n')
        }
        // Nor do the lines they had stay with them.
        await until(() => [...puppet.wires].every(({ channels }) => channels.size === 0) || undefined)
        expect(await theirs.ask('channels\n')).toBe('OK\n')
        theirs.close()
      },
    },
    {
      id: 'S5',
      attack: 'readers that do not read, of one person and of several',
      async run(house) {
        fill(24 * 2 ** 20)
        const before = puppet.heard.filter((line) => line === 'playlistinfo').length
        const slow: MpdClient[] = []
        for (const person of [house.member, house.guest, house.kid]) {
          for (let i = 0; i < 6; i++) slow.push(await openSlow(house, person))
        }
        await asked(before + 8)
        const answers = await Promise.all(
          [house.member, house.guest, house.owner].map(async (person) => {
            const mpd = await openMpd(house, person)
            const all = []
            for (let i = 0; i < 20; i++) all.push(await mpd.ask('status\n'))
            mpd.close()
            return all
          }),
        )
        expect([...new Set(answers.flat())]).toEqual([`volume: ${puppet.volume}\nrepeat: 0\nstate: stop\nOK\n`])
        // Lines that are held are few, whoever holds them.
        expect(puppet.wires.size).toBeLessThanOrEqual(18)
        for (const mpd of slow) mpd.close()
        puppet.queue = []
        await until(async () => {
          const mpd = await openMpd(house, house.guest)
          const answer = await mpd.ask('playlistinfo\n')
          mpd.close()
          return answer === 'OK\n' || undefined
        })
      },
    },
    {
      id: 'S6',
      attack: 'one person, then several, take every place for subscribers',
      async run(house) {
        const other = house.person('member')
        const [mine, theirs, third] = [
          await open(house, house.member, 6),
          await open(house, other, 6),
          await open(house, house.person('member'), 2),
        ]
        const subscribe = async (clients: readonly MpdClient[]) => {
          const answers = []
          for (const mpd of clients) answers.push(await mpd.ask('subscribe flood\n'))
          return answers
        }
        for (const clients of [mine, theirs]) {
          const answers = await subscribe(clients)
          expect(answers.slice(0, 4)).toEqual(['OK\n', 'OK\n', 'OK\n', 'OK\n'])
          for (const answer of answers.slice(4)) expect(answer).toMatch(places)
        }
        for (const answer of await subscribe(third)) expect(answer).toMatch(places)
        // Two places are left for who administers; and commands go on for everybody.
        const owners = await open(house, house.owner, 3)
        const answers = await subscribe(owners)
        expect(answers.slice(0, 2)).toEqual(['OK\n', 'OK\n'])
        expect(answers[2]).toMatch(places)
        for (const mpd of [...mine, ...theirs, ...third, ...owners])
          expect(await mpd.ask('status\n')).toMatch(/^volume:/)
        for (const mpd of [...mine, ...theirs, ...third, ...owners]) mpd.close()
        // Whose place is free again goes to the next.
        await until(async () => {
          const mpd = await openMpd(house, house.member)
          const answer = await mpd.ask('subscribe flood\n')
          mpd.close()
          return answer === 'OK\n' || undefined
        })
      },
    },
    {
      id: 'S7',
      attack: 'messages of one subscriber, read by another or by who may not',
      async run(house) {
        const [mine, deaf, kid, owner] = await Promise.all([
          openMpd(house, house.member),
          openMpd(house, house.member),
          openMpd(house, house.kid),
          openMpd(house, house.owner),
        ])
        expect(await mine.ask('subscribe secret\n')).toBe('OK\n')
        expect(await deaf.ask('subscribe other\n')).toBe('OK\n')
        for (const line of ['subscribe secret', 'readmessages', 'channels', 'unsubscribe secret', 'idle message']) {
          if (line.startsWith('idle')) continue
          expect(await kid.ask(`${line}\n`), line).toMatch(/^ACK \[4@0\]/)
        }
        expect(await deaf.ask('idle\nnoidle\n')).toMatch(/OK\n$/)
        expect(await kid.ask('idle\nnoidle\n')).toMatch(/OK\n$/)
        deaf.send('idle message\n')
        kid.send('idle message\n')
        mine.send('idle message\n')
        expect(await owner.ask('sendmessage secret "for one alone"\n')).toBe('OK\n')
        expect(await mine.next()).toBe('changed: message\nOK\n')
        // Nobody else is woken, or has anything to read.
        for (const mpd of [deaf, kid]) expect(await mpd.ask('noidle\n')).toBe('OK\n')
        expect(await deaf.ask('readmessages\n')).toBe('OK\n')
        expect(await owner.ask('readmessages\n')).not.toContain('alone')
        const stranger = await openMpd(house, house.member)
        expect(await stranger.ask('readmessages\n')).not.toContain('alone')
        expect(await mine.ask('readmessages\n')).toBe('channel: secret\nmessage: for one alone\nOK\n')
        expect(await mine.ask('readmessages\n')).toBe('OK\n')
        // Nor by who has the line next.
        expect(await owner.ask('sendmessage secret "left behind"\n')).toBe('OK\n')
        mine.close()
        const next = await openMpd(house, house.member)
        expect(await next.ask('subscribe another\n')).toBe('OK\n')
        expect(await next.ask('readmessages\n')).toBe('OK\n')
        // Nor by the next person on the same connection.
        expect(await deaf.ask(`password ${house.kid.token}\n`)).toBe('OK\n')
        await owner.ask('sendmessage other "not for a kid"\n')
        expect(await deaf.ask('readmessages\n')).toMatch(/^ACK \[4@0\]/)
        expect(await deaf.ask(`password ${house.owner.token}\n`)).toBe('OK\n')
        expect(await deaf.ask('readmessages\n')).not.toContain('kid')
        for (const mpd of [deaf, kid, owner, stranger, next]) mpd.close()
      },
    },
    {
      id: 'S8',
      attack: 'an answer from before one’s own change, while many ask the same',
      async run(house) {
        const people = Array.from({ length: 20 }, () => house.person('owner'))
        const crowd = await Promise.all(people.map((person) => openMpd(house, person)))
        const mine = await openMpd(house, house.owner)
        let over = false
        let polled = 0
        const loops = crowd.map(async (mpd) => {
          while (!over) {
            expect(await mpd.ask('status\n')).toMatch(/^volume: \d+\nrepeat: 0\nstate: stop\nOK\n$/)
            polled++
          }
        })
        const crowded = Promise.all(loops)
        crowded.catch(() => {})
        // The player is a little slow, so that there is always one in flight to join.
        puppet.trick = ({ lines, wire, honest }) => {
          if (lines[0] !== 'status') return false
          const answer = honest()
          setTimeout(() => wire.socket.write(answer), 5)
          return true
        }
        for (let i = 0; i < 100; i++) {
          expect(await mine.ask(`setvol ${i}\n`)).toBe('OK\n')
          expect(await mine.ask('status\n')).toMatch(new RegExp(`^volume: ${i}\n`))
          // In one packet as well, and in a list.
          if (i % 10 === 0) {
            mine.send(`setvol ${i + 1}\nstatus\n`)
            expect([await mine.next(), await mine.next()].join('')).toMatch(new RegExp(`^OK\nvolume: ${i + 1}\n`))
            const list = `command_list_begin\nsetvol ${i + 2}\nstatus\ncommand_list_end\n`
            expect(await mine.ask(list)).toMatch(new RegExp(`^volume: ${i + 2}\n`))
            expect(await mine.ask('status\n')).toMatch(new RegExp(`^volume: ${i + 2}\n`))
          }
        }
        over = true
        await crowded
        expect(polled).toBeGreaterThan(100)
        puppet.trick = undefined
        for (const mpd of [mine, ...crowd]) mpd.close()
      },
    },
    {
      id: 'S9',
      attack: 'hearing of changes that are not one’s to hear',
      async run(house) {
        const [blindfold, guest, member] = await Promise.all([
          openMpd(house, house.person('blind')),
          openMpd(house, house.guest),
          openMpd(house, house.member),
        ])
        for (const mpd of [guest, member]) expect(await mpd.ask('idle\nnoidle\n')).toMatch(/OK\n$/)
        const heard: string[] = []
        blindfold.socket.on('data', (piece: Buffer) => heard.push(piece.toString()))
        for (const ask of ['idle mixer\n', 'idle\n']) blindfold.send(ask)
        guest.send('idle\n')
        member.send('idle stored_playlist mixer\n')
        puppet.change(
          'stored_playlist',
          'output',
          'sticker',
          'message',
          'subscription',
          'neighbor',
          'mount',
          'partition',
        )
        expect(await member.next()).toBe('changed: stored_playlist\nOK\n')
        // Outputs and what the server is made of are a guest's to know, the rest is not.
        expect(await guest.next()).toBe('changed: output\nchanged: neighbor\nchanged: mount\nchanged: partition\nOK\n')
        puppet.change('mixer')
        await member.ask('idle mixer\n')
        expect(await guest.ask('idle\n')).toBe('changed: mixer\nOK\n')
        expect(heard.join('')).not.toContain('mixer')
        for (const mpd of [blindfold, guest, member]) mpd.close()
      },
    },
    {
      id: 'S10',
      attack: 'the whole answer of one who may see it, for one who may not',
      async run(house) {
        puppet.queue = ['local:track:all', 'file:///home/ada/secret.flac', 'local:track:more']
        const [owner, blinkered] = await Promise.all([
          openMpd(house, house.owner),
          openMpd(house, house.person('near')),
        ])
        puppet.trick = ({ lines, wire, honest }) => {
          if (lines[0] !== 'playlistinfo') return false
          setTimeout(() => wire.socket.write(honest()), 10)
          return true
        }
        for (let i = 0; i < 20; i++) {
          const both = [owner, blinkered].map((mpd) => mpd.ask('playlistinfo\n'))
          const [all, some] = await Promise.all(both)
          expect(all).toContain('file: file:///home/ada/secret.flac\n')
          expect(some).not.toContain('secret')
          expect(some).toContain('file: hidden\n')
          for (const answer of [all, some]) expect(answer?.match(/^file: /gm)).toHaveLength(3)
          const list = await blinkered.ask('command_list_begin\nplaylistinfo\nstatus\ncommand_list_end\n')
          expect(list).not.toMatch(/secret|list_OK/)
        }
        puppet.trick = undefined
        for (const mpd of [owner, blinkered]) mpd.close()
      },
    },
    {
      id: 'S11',
      attack: 'an answer shared with who was sent away in between',
      async run(house) {
        const gone = house.person('member')
        const [owner, mine] = await Promise.all([openMpd(house, house.owner), openMpd(house, gone)])
        let asks = 0
        let release = () => {}
        puppet.trick = ({ lines, wire, honest }) => {
          if (lines[0] !== 'status') return false
          asks++
          const before = release
          release = () => {
            before()
            wire.socket.write(honest())
          }
          return true
        }
        const [theirs, nothing] = [owner.ask('status\n'), mine.ask('status\n')]
        await until(() => asks > 0 || undefined)
        house.accounts.setDisabled(gone.id, true)
        await mine.end()
        release()
        expect(await theirs).toMatch(/^volume:/)
        expect(await nothing).toBe('')
        puppet.trick = undefined
        owner.close()
      },
    },
    {
      id: 'S12',
      attack: 'another person on the same connection finds what the first one left',
      async run(house) {
        const mpd = await openMpd(house, house.member)
        expect(await mpd.ask('tagtypes clear\n')).toBe('OK\n')
        expect(await mpd.ask('subscribe mine\n')).toBe('OK\n')
        expect(await mpd.ask(`password ${house.kid.token}\n`)).toBe('OK\n')
        expect(await mpd.ask('readmessages\n')).toMatch(/^ACK \[4@0\]/)
        // A place of the first is none of the second's.
        await until(() => [...puppet.wires].every(({ channels }) => channels.size === 0) || undefined)
        const again = await open(house, house.member, 4)
        for (const one of again) expect(await one.ask('subscribe mine\n')).toBe('OK\n')
        for (const one of [mpd, ...again]) one.close()
      },
    },
  ]),
  openPuppetHouse,
)
