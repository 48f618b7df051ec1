import { expect } from 'vitest'
import { until } from '../real/tools.ts'
import { ask, dial, ended, exchange, knock, type MpdClient, openMpd } from './clients.ts'
import { attack, type House, heard } from './harness.ts'

/** What comes back for some bytes when they end the connection. */
async function ends(house: House, bytes: string | Buffer, token = house.owner.token): Promise<string> {
  const mpd = await openMpd(house, { token })
  mpd.send(bytes)
  return mpd.end()
}

async function all(mpd: MpdClient, line: string): Promise<string[]> {
  return [...(await mpd.ask(line)).matchAll(/^command: (\w+)$/gm)].map(([, name = '']) => name)
}

const song = 'local:track:demo/lights/01-curtain'

attack('MPD', [
  {
    id: 'M1',
    attack: 'quotes and escapes that players read in different ways',
    reaches: [/^add "local:track:demo\/lights\/01-curtain"$/, /^find "title" "a\\"b\\\\c"$/],
    async run(house) {
      const mpd = await openMpd(house, house.owner)
      for (const line of [
        `add "${song}`,
        `add "a""b"`,
        `add a"b"`,
        `add 'a b'`,
        `add "a"b`,
        `add "a\\"`,
        `add a'b`,
        'setvol "1',
        `add "a" "`,
      ]) {
        expect(await mpd.ask(`${line}\n`), line).toMatch(/^ACK \[[25]@0\]/)
      }
      // However it was written, it goes on in one way.
      for (const line of [
        `add ${song}`,
        `add "${song}"`,
        `add\t \t${song} \t`,
        `add "local:track:demo/l\\ights/01-curtain"\r`,
      ]) {
        expect(await mpd.ask(`${line}\n`), line).toMatch(/OK\n$|^ACK \[50/)
      }
      await mpd.ask('find title "a\\"b\\\\c"\n')
      mpd.close()
    },
  },
  {
    id: 'M2',
    attack: 'control characters, foreign blanks and broken text inside a command',
    async run(house) {
      const clear = (bytes: number[]) =>
        Buffer.concat([Buffer.from('ping'), Buffer.from(bytes), Buffer.from('clear\n')])
      for (const bytes of [
        [0],
        [1],
        [0x0b],
        [0x0c],
        [0x1c],
        [0x7f],
        [0xa0],
        [0xc2, 0xa0],
        [0xc2, 0x85],
        [0xe2, 0x80, 0xa8],
        [0xff],
        [0xc0, 0xaf],
        [13],
        [0xef, 0xbb, 0xbf],
      ]) {
        expect(await ends(house, clear(bytes)), String(bytes)).toMatch(/^ACK [^\n]*\n$/)
        const inside = Buffer.concat([Buffer.from('find title "'), Buffer.from(bytes), Buffer.from('"\n')])
        if (bytes.length === 1) expect(await ends(house, inside), String(bytes)).toMatch(/^ACK [^\n]*\n$/)
      }
    },
  },
  {
    id: 'M3',
    attack: 'a forbidden command in a list, and lists that begin or end in unusual ways',
    reaches: [/^pause "1"$/, /^command_list_(begin|end)$/],
    async run(house) {
      const mpd = await openMpd(house, house.kid)
      expect(await mpd.ask('command_list_begin\npause 1\nclear\nstatus\ncommand_list_end\n')).toMatch(
        /^ACK \[4@1\] \{clear\}/,
      )
      expect(await mpd.ask('command_list_ok_begin\nclear\ncommand_list_end\n')).toMatch(/^ACK \[4@0\] \{clear\}/)
      expect(heard(house).filter((line) => line.startsWith('pause'))).toEqual([])
      for (const [begin, end] of [
        ['command_list_begin ', 'command_list_end'],
        ['command_list_begin', 'command_list_end '],
        ['command_list_begin\t', 'command_list_end\t'],
      ]) {
        expect(await mpd.ask(`${begin}\nclear\n${end}\n`), begin).toMatch(/^ACK \[[45]@0\]/)
      }
      // In one list there is no other, nobody signs in, and nothing of it waits for who comes later.
      for (const inner of ['command_list_begin', `password ${house.owner.token}`, 'idle', 'close', 'partition home']) {
        expect(await mpd.ask(`command_list_begin\n${inner}\nclear\ncommand_list_end\n`), inner.slice(0, 9)).toMatch(
          /^ACK /,
        )
      }
      const stranger = await openMpd(house)
      const mixed = `command_list_begin\nclear\npassword ${house.owner.token}\ncommand_list_end\nstatus\n`
      expect(await stranger.ask(mixed)).toMatch(/^ACK \[4@0\]/)
      expect(await stranger.next()).toMatch(/^ACK \[4@0\] \{status\}/)
      const long = `command_list_begin\n${'pause 1\n'.repeat(2_049)}command_list_end\n`
      expect(await ends(house, long, house.kid.token)).toMatch(/^ACK /)
      expect(await mpd.ask('command_list_begin\npause 1\ncommand_list_end\n')).toBe('OK\n')
      for (const one of [mpd, stranger]) one.close()
    },
  },
  {
    id: 'M4',
    attack: 'commands while idle, and noidle where none belongs',
    async run(house) {
      for (const behind of ['clear\n', 'noidle clear\n', 'idle\n', `password ${house.owner.token}\n`, 'close\n']) {
        expect(await ends(house, `idle\n${behind}`), behind.slice(0, 9)).toBe('')
      }
      const mpd = await openMpd(house, house.kid)
      mpd.send('noidle\nnoidle\nidle\nnoidle\nnoidle\nclear\nping\n')
      expect(await mpd.next()).toBe('OK\n')
      expect(await mpd.next()).toMatch(/^ACK \[4@0\] \{clear\}/)
      expect(await mpd.next()).toBe('OK\n')
      expect(await mpd.ask('command_list_begin\nidle\ncommand_list_end\n')).toMatch(/^ACK /)
      mpd.close()
    },
    reaches: [/^idle( "\w+")*$/, /^ping$/],
  },
  {
    id: 'M5',
    attack: 'commands in the packet of a password, wrong or right',
    async run(house) {
      const mpd = await openMpd(house)
      const { kid, owner } = house
      mpd.send(`clear\npassword wrong\nclear\npassword ${kid.token}\nclear\nstatus\npassword ${owner.token}x\nclear\n`)
      const answers = []
      for (let i = 0; i < 8; i++) answers.push((await mpd.next()).replace(/^volume[\s\S]*OK\n$/, 'status').slice(0, 20))
      expect(answers).toEqual([
        expect.stringMatching(/^ACK \[4@0\] \{clear\}/),
        'ACK [3@0] {password}',
        expect.stringMatching(/^ACK \[4@0\] \{clear\}/),
        'OK\n',
        expect.stringMatching(/^ACK \[4@0\] \{clear\}/),
        'status',
        'ACK [3@0] {password}',
        expect.stringMatching(/^ACK \[4@0\] \{clear\}/),
      ])
      mpd.close()
    },
  },
  {
    id: 'M6',
    attack: 'guessing passwords, on one connection and on many',
    async run(house) {
      const text = await exchange(house, 'password a\npassword b\npassword c\npassword d\nclear\n', { door: 'mpd' })
      expect(text.match(/ACK \[3@0\]/g)).toHaveLength(3)
      const more = []
      for (let i = 0; i < 4; i++) {
        const mpd = await openMpd(house)
        more.push(await mpd.ask(`password guess${i}\n`))
        mpd.close()
      }
      // From the fifth on nobody looks.
      expect(more.at(-1)).toMatch(/^ACK \[52@0\] \{password\} too many/)
      const right = await openMpd(house, { token: house.kid.token })
      expect(right.socket.closed).toBe(false)
      right.close()
    },
  },
  {
    id: 'M7',
    attack: 'a title that ends the answer and begins another',
    reaches: [/^search /],
    disturbs: true,
    async run(house) {
      for (const title of [
        'x\nOK\nevil: 1',
        'x\nACK [5@0] {} evil',
        'x\nOK',
        'x\rOK\r',
        'x\u0000y',
        'x\nevil',
        '\nOK\nOK\nOK',
      ]) {
        const mpd = await openMpd(house, house.member)
        house.demo.faults.title = title
        house.demo.faults.only = /^search/
        const [first, second] = [
          await mpd.ask('search title Demo\n'),
          mpd.socket.closed ? '' : await mpd.ask('status\n'),
        ]
        expect(`${first}${second}`, JSON.stringify(title)).not.toMatch(/^(evil|ACK \[5@)/m)
        expect(first, JSON.stringify(title)).not.toMatch(/[\r\0]/)
        // In step: the answer to status is the status, or there is no more answer.
        expect(second, JSON.stringify(title)).toMatch(/^(volume: [\s\S]*OK\n)?$/)
        mpd.close()
      }
    },
  },
  {
    id: 'M8',
    attack: 'a picture that holds an end of an answer, or is of another length than announced',
    reaches: [/^albumart /, /^ping$/],
    disturbs: true,
    async run(house) {
      const ask = async () => {
        const mpd = await openMpd(house, house.member)
        mpd.send(`albumart ${song} 0\nping\n`)
        let text = ''
        mpd.socket.on('data', (piece: Buffer) => {
          text += piece.toString('latin1')
        })
        await until(() => mpd.socket.closed || text.endsWith('\nOK\nOK\n') || /^ACK [^\n]*\nOK\n$/.test(text))
        mpd.close()
        return text
      }
      const whole = await ask()
      expect(whole).toMatch(/^size: 12288\nbinary: 8192\n/)
      expect(whole).toHaveLength('size: 12288\nbinary: 8192\n'.length + 8192 + '\nOK\nOK\n'.length)
      house.demo.faults.only = /^albumart/
      for (const binary of [-5, 90_000_000]) {
        house.demo.faults.binary = binary
        const text = await ask()
        expect(text, `${binary}`).not.toMatch(/\nOK\nOK\n$/)
      }
    },
  },
  {
    id: 'M9',
    attack: 'a line without end, a stranger who stays, a byte at a time, half a connection',
    disturbs: true,
    async run(house) {
      expect(await ends(house, 'a'.repeat(8_192))).toMatch(/^ACK /)
      expect(await ends(house, `find title "${'a'.repeat(8_200)}"\n`)).toMatch(/^ACK /)
      const many = await dial(house, 'mpd')
      const gone = ended(many)
      many.write('ping\n'.repeat(20_000))
      await gone
      // A stranger buries nobody's records under his own.
      expect(house.log.filter(({ from }) => from === house.from).length).toBeLessThan(1_000)
      expect(house.log.filter(({ level }) => level === 'error')).toEqual([])
      const half = await openMpd(house)
      half.socket.end()
      await half.end()
      const silent = await openMpd(house)
      const slow = await openMpd(house)
      const drip = setInterval(() => slow.send('ping\n'), 100)
      house.jump(11_000)
      await Promise.all([silent.end(), slow.end()])
      clearInterval(drip)
    },
  },
  {
    id: 'M10',
    attack: 'one person keeps the player’s connections busy',
    async run(house) {
      // Connections to the gateway are none to the player.
      const many = await Promise.all(Array.from({ length: 12 }, () => openMpd(house, house.kid)))
      const answers = await Promise.all(many.map((mpd) => mpd.ask('status\n')))
      expect(answers.every((text) => text.startsWith('volume:'))).toBe(true)
      // What the player is slow to answer is the matter of whoever asked it.
      house.demo.faults.hang = true
      house.demo.faults.only = /^pause/
      const hanging = many.map((mpd) => mpd.ask('pause 1\n'))
      await until(() => heard(house).includes('pause "1"') || undefined)
      for (const person of [house.guest, house.member, house.owner]) {
        const mpd = await openMpd(house, person)
        for (let i = 0; i < 5; i++) expect(await mpd.ask('status\n'), person.name).toMatch(/^volume:/)
        mpd.close()
      }
      for (const mpd of many) mpd.close()
      await Promise.all(hanging)
    },
    reaches: [/^pause "1"$/],
    disturbs: true,
  },
  {
    id: 'M11',
    attack: 'what only an owner may, and what nobody has heard of',
    async run(house) {
      for (const person of [house.guest, house.kid, house.member]) {
        const mpd = await openMpd(house, person)
        const may = await all(mpd, 'commands\n')
        for (const line of ['kill', 'config', 'mount x nfs://a/b', 'unmount x']) {
          expect(await mpd.ask(`${line}\n`), line).toMatch(/^ACK \[4@0\]/)
          expect(may).not.toContain(line.split(' ')[0])
        }
        for (const line of [
          'newpartition x',
          'delpartition x',
          'moveoutput x',
          'partition x',
          'future_command',
          'command',
          'constructor',
          'sticker find song a filter "(x)"',
          'protocol evil',
          'stickertype',
        ]) {
          expect(await mpd.ask(`${line}\n`), line).toMatch(/^ACK \[[245]+@0\]/)
        }
        mpd.close()
      }
      const guest = await openMpd(house, house.guest)
      for (const line of [
        'outputset 0 a b',
        'sendmessage a b',
        'sticker set song a b c',
        'setvol 50',
        'volume -5',
        'clear',
        'save x',
        'rm x',
        'update',
        'enableoutput 0',
      ]) {
        expect(await guest.ask(`${line}\n`), line).toMatch(/^ACK \[4@0\]/)
      }
      guest.close()
      const kid = await openMpd(house, house.kid)
      expect(await kid.ask('setvol 41\n')).toMatch(/^ACK \[4@0\]/)
      expect(await kid.ask('volume +1\n')).toMatch(/^ACK \[4@0\]/)
      kid.close()
      const stranger = await openMpd(house)
      expect((await all(stranger, 'commands\n')).sort()).toEqual([
        'close',
        'commands',
        'notcommands',
        'password',
        'ping',
      ])
      for (const line of ['status', 'stats', 'idle', 'kill', 'x', 'tagtypes all'])
        expect(await stranger.ask(`${line}\n`), line).toMatch(/^ACK \[4@0\]/)
      stranger.close()
    },
  },
  {
    id: 'M12',
    attack: 'paths that leave the library',
    async run(house) {
      const mpd = await openMpd(house, house.owner)
      for (const path of [
        '..',
        '../',
        'a/../../b',
        '/etc',
        '/etc/passwd',
        'a/%2e%2e/b',
        '%2e%2e',
        '..\\\\x',
        'a/%252e%252e/%2e%2e/b',
        'local:track:../x',
        './a',
        'file:../x',
      ]) {
        for (const command of ['listfiles', 'lsinfo', 'add', 'readcomments', 'listall', 'update']) {
          expect(await mpd.ask(`${command} "${path}"\n`), `${command} ${path}`).toMatch(/^ACK \[\d+@0\] \{/)
        }
        expect(await mpd.ask(`albumart "${path}" 0\n`)).toMatch(/^ACK \[\d+@0\] \{/)
      }
      for (const name of ['../x', 'a/b', '/etc/x', '..', 'a\\\\b']) {
        for (const command of ['load', 'save', 'rm', 'listplaylist']) {
          expect(await mpd.ask(`${command} "${name}"\n`), `${command} ${name}`).toMatch(/^ACK \[\d+@0\] \{/)
        }
      }
      mpd.close()
    },
  },
  {
    id: 'M13',
    attack: 'addresses that make the player look where only it can',
    reaches: [/^(?:listplaylist|load) "tcp:1"$/],
    async run(house) {
      const addresses = [
        'http://169.254.169.254/',
        'https://evil.example/',
        'HTTP://127.0.0.1:6680/',
        'file:///etc/passwd',
        'rtsp://127.0.0.1/',
        'smb://x/y',
        'nfs://x/y',
        'cdda://',
        'alsa://',
        'tcp:1',
        '//127.0.0.1/',
        ' http://127.0.0.1/',
      ]
      for (const person of [house.member, house.guest]) {
        const mpd = await openMpd(house, person)
        for (const uri of addresses) {
          for (const command of ['add', 'addid', 'lsinfo', 'readcomments', 'listall', 'playlistadd x']) {
            house.jump(400) // adding is rare for a guest
            expect(await mpd.ask(`${command} "${uri}"\n`), `${command} ${uri}`).toMatch(/^ACK \[(2|4|52)@0\] \{/)
          }
          // Without a slash it is the name of a playlist, which the player does not have.
          expect(await mpd.ask(`load "${uri}"\n`)).toMatch(/^ACK \[(2|4|50|52)@0\] \{load/)
          const list = `command_list_begin\nadd ${song}\nadd "${uri}"\ncommand_list_end\n`
          expect(await mpd.ask(list), uri).toMatch(/^ACK \[(2|4|52)@1\] \{add|^ACK \[52@0\]/)
        }
        mpd.close()
      }
    },
    disturbs: true,
  },
  {
    id: 'M14',
    attack: 'a browser that posts to this port',
    async run(house) {
      for (const first of [
        'POST / HTTP/1.1\r\nHost: x\r\n\r\nclear\n',
        'GET /\r\nclear\r\n',
        '\nclear\n',
        ' clear\n',
        '{"a":1}\nclear\n',
        'CLEAR\n',
        '"clear"\n',
        '\x16\x03\x01\n',
        '0\n',
      ]) {
        const text = await exchange(house, `${first}clear\nstatus\n`, { door: 'mpd' })
        expect(text, JSON.stringify(first)).toMatch(/^OK MPD [\d.]+\n$/)
      }
    },
  },
  {
    id: 'M15',
    attack: 'passwords in the clear on the network',
    async run(house) {
      const socket = await knock(house, 'mpd')
      const all = ended(socket)
      socket.write(`password ${house.kid.token}\nclear\n`)
      // Neither greeting nor answer: only an alert of TLS, which is no text of MPD.
      expect(await all).not.toMatch(/OK|ACK/)
    },
  },
  {
    id: 'M16',
    attack: 'a forbidden command behind a thousand others, and lists that are as long as may be, or longer',
    reaches: [/^pause "1"$/, /^command_list_(begin|end)$/],
    async run(house) {
      const list = (count: number, last: string, begin = 'command_list_begin') =>
        `${begin}\n${'pause 1\n'.repeat(count - 1)}${last}\ncommand_list_end\n`
      const mine = await openMpd(house, house.member)
      const owner = await openMpd(house, house.owner)
      const asked = () => heard(house).filter((line) => /pause|list/.test(line))
      for (const begin of ['command_list_begin', 'command_list_ok_begin']) {
        expect(await mine.ask(list(1_000, 'kill', begin))).toMatch(/^ACK \[4@999\] \{kill\} [^\n]*\n$/)
        expect(await owner.ask(list(2_048, 'newpartition x', begin))).toMatch(/^ACK \[4@2047\] \{newpartition\} /)
        for (const mpd of [mine, owner]) expect(await mpd.ask('ping\n')).toBe('OK\n')
      }
      expect(asked()).toEqual([])
      // What was not done is not counted either.
      expect(await mine.ask(list(1_000, 'pause 1'))).toBe('OK\n')
      expect(asked()).toHaveLength(1_002)
      expect(await owner.ask(list(2_048, 'pause 1'))).toBe('OK\n')
      expect(asked()).toHaveLength(1_002 + 2_050)
      for (const last of ['pause 1', 'newpartition x']) {
        expect(await ends(house, list(2_049, last))).toMatch(/^ACK \[5@2048\] \{\} [^\n]*\n$/)
      }
      expect(asked()).toHaveLength(1_002 + 2_050)
      for (const mpd of [mine, owner]) mpd.close()
    },
  },
  {
    id: 'M17',
    attack: 'a list that began with other rights than it ends with, or holds what belongs to the connection',
    reaches: [/^pause "1"$/, /^command_list_(ok_)?(begin|end)$/],
    async run(house) {
      const someone = house.person('member')
      const mpd = await openMpd(house, someone)
      expect(await mpd.ask('ping\n')).toBe('OK\n')
      mpd.send('command_list_begin\npause 1\nclear\n')
      house.accounts.setRoles(someone.id, ['kid'])
      await until(
        async () => (await ask(house, '/auth/me', { token: someone.token })).text.includes('"kid"') || undefined,
      )
      expect(await mpd.ask('command_list_end\n')).toMatch(/^ACK \[4@1\] \{clear\}/)
      mpd.send('command_list_begin\npause 1\n')
      house.accounts.setDisabled(someone.id, true)
      expect(await mpd.end()).toBe('')
      const other = await openMpd(house, house.owner)
      for (const begin of ['command_list_begin', 'command_list_ok_begin']) {
        for (const inner of [
          ...['command_list_begin', 'command_list_ok_begin', 'idle', 'idle mixer', 'noidle', 'close', 'commands'],
          ...[`password ${house.kid.token}`, 'notcommands', 'partition home', 'listpartitions'],
        ]) {
          const list = `${begin}\npause 1\n${inner}\npause 1\ncommand_list_end\n`
          const answer = await other.ask(list)
          // A noidle that nothing waits for is nothing, wherever it stands.
          if (inner === 'noidle') expect(answer, list).toMatch(/^(list_OK\nlist_OK\n)?OK\n$|^ACK \[5@1\]/)
          else expect(answer, list).toMatch(/^ACK \[5@1\] \{\} [^\n]*\n$/)
          expect(await other.ask('ping\n'), list).toBe('OK\n')
        }
      }
      const nested = 'command_list_begin\n'.repeat(50)
      expect(await other.ask(`${nested}pause 1\ncommand_list_end\n`)).toMatch(/^ACK \[5@0\]/)
      expect(await other.ask('command_list_end\n')).toMatch(/^ACK \[5@0\]/)
      other.close()
    },
  },
  {
    id: 'M18',
    attack: 'lines, arguments and lists at their bounds and one beyond',
    reaches: [/^prio /],
    async run(house) {
      const mpd = await openMpd(house, house.owner)
      const long = (bytes: number) => `${'x'.repeat(bytes)}\n`
      expect(await mpd.ask(long(8_191))).toMatch(/^ACK \[5@0\] \{\} unknown command/)
      expect(await mpd.ask(`${'x'.repeat(8_190)}\r\n`)).toMatch(/^ACK \[5@0\] \{\} unknown command/)
      expect(await ends(house, long(8_192))).toMatch(/^ACK \[5@0\] \{\} [^\n]*\n$/)
      expect(await ends(house, `ping\ncommand_list_begin\n${long(8_192)}`)).toMatch(/^OK\nACK \[5@0\] /)
      // Quoted anew it would be longer than a player takes.
      const slashes = '\\'.repeat(4_000)
      expect(await mpd.ask(`find title ${slashes} artist ${slashes}\n`)).toMatch(
        /^ACK \[2@0\] \{find\} the command is too long/,
      )
      const prio = (count: number) => `prio 1${' 0:1'.repeat(count - 1)}\n`
      expect(await mpd.ask(prio(64))).not.toContain('Too many')
      expect(await mpd.ask(prio(65))).toMatch(/^ACK \[2@0\] \{prio\} Too many arguments/)
      expect(heard(house).filter((line) => line.startsWith('prio'))).toHaveLength(1)
      expect(await mpd.ask(`find title ${'a'.repeat(4_096)}b\n`)).toMatch(/^ACK \[2@0\] \{find\} Argument too long/)
      const line = `find title ${'a'.repeat(1_012)}\n`
      const list = (count: number) =>
        `command_list_begin\n${line.repeat(count)}kill x\nnewpartition x\ncommand_list_end\n`
      expect(line).toHaveLength(1_024)
      expect(await mpd.ask(list(2_040))).toMatch(/^ACK \[2@2040\] \{kill\}/)
      expect(await ends(house, `command_list_begin\n${`find title ${'a'.repeat(2_036)}\n`.repeat(1_030)}`)).toMatch(
        /^ACK \[5@10\d\d\] \{\} [^\n]*\n$/,
      )
      mpd.close()
    },
  },
  {
    id: 'M19',
    attack: 'asking without reading, and staying without asking',
    reaches: [/^(search|list)/],
    async run(house) {
      const before = house.log.length
      const slow = await openMpd(house, house.member)
      const gone = new Promise((resolve) => slow.socket.once('close', resolve))
      slow.socket.pause()
      // Its answers fill what the kernel keeps, and then wait here.
      const loop = setInterval(() => slow.send(`commands\n`.repeat(500)), 1)
      await until(() => slow.socket.writableLength > 2 ** 20 || undefined)
      clearInterval(loop)
      const other = await openMpd(house, house.kid)
      expect(await other.ask('status\n')).toMatch(/^volume:/)
      other.send('idle\n')
      const silent = await openMpd(house, house.guest)
      house.jump(31_000)
      await until(
        () =>
          house.log.slice(before).some((record) => record.from === house.from && record.msg !== 'decision') ||
          undefined,
      )
      house.jump(31_000)
      slow.socket.resume()
      await gone
      await silent.end()
      // Who idles may be silent.
      expect(await other.ask('noidle\n')).toBe('OK\n')
      other.close()
    },
    disturbs: true,
  },
])
