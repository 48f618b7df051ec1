import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { until } from '../real/tools.ts'
import { type MpdClient, openMpd } from './clients.ts'
import { attack, type House, type HouseOptions, openHouse, type Row } from './harness.ts'
import { found, type Puppet, type Question, song, startPuppet } from './puppet.ts'

let puppet: Puppet

async function openPuppetHouse(options: HouseOptions) {
  puppet = await startPuppet()
  const house = await openHouse({ ...options, mpd: puppet.address })
  const close = async () => {
    await house.close()
    await puppet.close()
  }
  return { ...house, close }
}

/** Plays the trick on whoever asks for `mine`, and on nobody else. */
function trick(play: (question: Question) => void, what = /"mine"/): void {
  puppet.trick = (question) => {
    if (!question.lines.some((line) => what.test(line))) return false
    play(question)
    return true
  }
}

/** Somebody else asks all the while: they get what is theirs, or an error, and never what is not. */
async function beside(house: House, run: () => Promise<void>, others = 3): Promise<void> {
  let over = false
  let right = 0
  const neighbours = await Promise.all(Array.from({ length: others }, () => openMpd(house, house.owner)))
  const loops = neighbours.map(async (mpd, n) => {
    for (let i = 0; !over; i++) {
      const mark = `theirs-${n}-${i}`
      const answer = await mpd.ask(`playlistfind title ${mark}\n`)
      if (/^ACK \[52@0\] \{playlistfind\} [^\n]*\n$/.test(answer)) continue
      expect(answer, 'what a neighbour gets').toBe(found(mark))
      right++
      await sleep(1)
    }
  })
  const running = run()
  try {
    await Promise.race([running, Promise.all(loops)])
  } finally {
    over = true
    await Promise.allSettled([running, ...loops])
    for (const mpd of neighbours) mpd.close()
  }
  await Promise.all(loops)
  expect(right, 'answers that a neighbour got').toBeGreaterThan(0)
}

/** One answer to `text`, which ends as answers do; or the end of the connection, and then what came is no whole answer. */
async function oneAnswer(mpd: MpdClient, text = 'playlistfind title mine\n'): Promise<string> {
  const answer = await mpd.ask(text)
  expect(Buffer.from(answer, 'latin1').toString()).toMatch(
    /(^|\n)(OK|ACK \[\d+@\d+\] \{\w*\} \P{Cc}*)\n$|^(?!OK|ACK)[\s\S]*$/u,
  )
  return answer
}

/** Honest again: the client is in step, or it was closed and another one is served. */
async function inStep(house: House, mpd: MpdClient, why: string): Promise<void> {
  puppet.trick = undefined
  if (!mpd.socket.closed) {
    const pong = await mpd.ask('ping\n')
    expect(pong, why).toMatch(/^(OK\n)?$/)
    if (pong !== '') {
      const answer = await mpd.ask('playlistfind title after\n')
      if (answer !== '' && !answer.startsWith('ACK [52@0]')) expect(answer, why).toBe(found('after'))
    }
  }
  mpd.close()
  await until(async () => {
    const again = await openMpd(house, house.member)
    const answer = await again.ask('playlistfind title again\n')
    again.close()
    return answer === found('again')
  })
}

/** Each trick on a client of its own, with neighbours. */
async function each(
  house: House,
  tricks: Readonly<Record<string, (question: Question) => void>>,
  { ask = 'playlistfind title mine\n', check = (_: string, _why: string): void => {} } = {},
): Promise<void> {
  await beside(house, async () => {
    for (const [why, play] of Object.entries(tricks)) {
      const mpd = await openMpd(house, house.member)
      trick(play)
      const answer = await oneAnswer(mpd, ask)
      expect(answer, why).not.toMatch(/theirs|^evil/m)
      check(answer, why)
      await inStep(house, mpd, why)
    }
  })
}

const says =
  (text: string | Buffer) =>
  ({ wire }: Question) =>
    void wire.socket.write(text)

/** The first part, and the second when the gateway has had time to give the line to somebody else. */
const saysTwice =
  (first: string, second: string, ms: number) =>
  ({ wire: { socket } }: Question) => {
    const finish = () => {
      socket.write(second)
      socket.resume()
    }
    socket.write(first)
    // A player answers in order: what is asked meanwhile comes after.
    socket.pause()
    if (ms < 0) setImmediate(finish)
    else setTimeout(finish, ms)
  }

const ack = /^ACK \[52@0\] \{\w+\} \P{Cc}*\n$/u

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
  'The player',
  calmly([
    {
      id: 'U1',
      attack: 'a title that ends the answer, in one packet',
      async run(house) {
        const titles = [
          ...['x\nOK\nevil: 1', 'x\nACK [5@0] {} evil', 'x\nOK', 'x\rOK\r', 'x\u0000y', 'x\nevil', '\nOK\nOK\nOK'],
          ...['x\nlist_OK\nOK', 'x\nOK MPD 0.24.0\nevil: 1', 'x\nbinary: 3\nOK\n', 'x\nchanged: mixer\nOK\nevil: 1'],
        ]
        const tricks = titles.map((title) => [
          JSON.stringify(title),
          says(`file: local:track:mine\nTitle: ${title}\nOK\n`),
        ])
        await each(house, Object.fromEntries(tricks))
      },
    },
    {
      id: 'U2',
      attack: 'a title that ends the answer, its rest in a second packet when somebody else may have the line',
      async run(house) {
        const [first, second] = ['file: local:track:mine\nTitle: x\nOK\n', 'evil: of mine\nOK\n']
        const tricks: Record<string, (question: Question) => void> = {}
        for (const ms of [-1, 0, 1, 3, 10, 30]) {
          tricks[`the rest after ${ms} ms`] = saysTwice(first, second, ms)
          tricks[`an answer twice, after ${ms} ms`] = saysTwice(found('mine'), found('mine'), ms)
          tricks[`an OK too many after ${ms} ms`] = saysTwice(found('mine'), 'OK\n', ms)
          tricks[`an error too many after ${ms} ms`] = saysTwice(found('mine'), 'ACK [50@0] {play} evil\n', ms)
          tricks[`half a line after ${ms} ms`] = saysTwice(found('mine'), 'evil', ms)
        }
        await each(house, tricks)
      },
    },
    {
      id: 'U3',
      attack: 'lines that are too long, or none of the protocol',
      async run(house) {
        const odd = [
          'evil',
          'OK ',
          'ok',
          'ACK',
          'ACK evil',
          'ACK [5@0] evil',
          'ACK [5000@0] {x} y',
          '',
          ' ',
          ': x',
          'x:y',
        ]
        await each(
          house,
          {
            'no line feed': says(`Title: ${'x'.repeat(2 ** 20 + 10)}`),
            'with its line feed': says(`Title: ${'x'.repeat(2 ** 20 + 10)}\nOK\n`),
            'no colon': says(`${'x'.repeat(2 ** 20 + 10)}\nOK\n`),
            ...Object.fromEntries(odd.map((line) => [JSON.stringify(line), says(`${line}\nOK\n`)])),
          },
          { check: (answer, why) => expect(answer, why).toMatch(ack) },
        )
      },
    },
    {
      id: 'U4',
      attack: 'a picture of another size than it says',
      async run(house) {
        const piece = Buffer.alloc(1_000, 'mine ')
        const lie = (head: string, body = piece, tail = '\nOK\n') =>
          says(Buffer.concat([Buffer.from(head), body, Buffer.from(tail)]))
        const tricks = {
          smaller: lie('size: 1000\nbinary: 900\n'),
          negative: lie('size: 1000\nbinary: -1000\n'),
          huge: lie('size: 1000\nbinary: 99999999\n'),
          'beyond every number': lie('size: 1000\nbinary: 99999999999999999999\n'),
          'no number': lie('size: 1000\nbinary: 1e3\n'),
          'with blanks': lie('size: 1000\nbinary:  1000 \n'),
          twice: lie('size: 1000\nbinary: 1000\nbinary: 1000\n'),
          'without its line feed': lie('size: 1000\nbinary: 1000\n', piece, 'OK\n'),
          'an error in its middle': lie('size: 1000\nbinary: 900\n', piece, '\nACK [50@0] {albumart} gone\n'),
          'another behind it': lie('size: 1000\nbinary: 1000\n', piece, '\nbinary: 5\nOK\nxx\nOK\n'),
        }
        await each(house, tricks, { ask: 'albumart mine 0\n' })
      },
    },
    {
      id: 'U5',
      attack: 'the player closes in the middle',
      async run(house) {
        const whole = found('mine')
        const tricks: Record<string, (question: Question) => void> = {}
        for (const at of [0, 3, 24, 30, whole.length - 3, whole.length - 1]) {
          tricks[`ends after ${at}`] = ({ wire }) => void wire.socket.end(whole.slice(0, at))
          tricks[`resets after ${at}`] = ({ wire: { socket } }) =>
            void socket.write(whole.slice(0, at), () => socket.resetAndDestroy())
        }
        await each(house, tricks, {
          check(answer, why) {
            // Asked again on another line where nothing had come; never the beginning twice.
            expect(answer.split('file:').length, why).toBeLessThanOrEqual(2)
            if (answer.endsWith('OK\n')) expect(answer, why).toBe(whole)
          },
        })
      },
    },
    {
      id: 'U6',
      attack: 'half an answer, then silence',
      async run(house) {
        const halves = ['', 'fil', 'file: local:track:mine\n', 'file: local:track:mine\nTitle: x']
        await beside(house, async () => {
          const clients = await Promise.all(halves.map(() => openMpd(house, house.member)))
          const left = [...halves]
          trick(({ wire }) => void wire.socket.write(left.shift() ?? ''))
          const answers = await Promise.all(
            clients.map((mpd, i) => oneAnswer(mpd, `playlistfind title mine artist ${i}\n`)),
          )
          for (const [i, answer] of answers.entries()) {
            expect(answer, halves[i]).toMatch(/^ACK \[52@0\] \{playlistfind\} |^file: local:track:mine\n$/)
          }
          for (const mpd of clients) await inStep(house, mpd, 'silence')
        })
      },
    },
    {
      id: 'U7',
      attack: 'errors with control characters, of codes and places that do not exist',
      async run(house) {
        const texts = ['a\u0007b', 'a\u001b[2Jb', 'a\rb', 'a\u0000b', 'a\u2028b', 'a\u0085b', `File "/etc/x", line 1`]
        const tricks = Object.fromEntries([
          ...texts.map((text) => [JSON.stringify(text), says(`ACK [50@0] {playlistfind} ${text}\n`)]),
          ...[
            'ACK [-1@0] {x} y',
            'ACK [50@-1] {x} y',
            'ACK [50@0] {x y} z',
            'ACK [50@0] {"} z',
            'ACK [50@99999] {} z',
          ].map((line) => [line, says(`${line}\n`)]),
        ])
        await each(house, tricks, {
          check(bytes, why) {
            const answer = Buffer.from(bytes, 'latin1').toString()
            expect(answer, why).toMatch(/^ACK \[\d{1,3}@\d{1,4}\] \{\w*\} [^\p{Cc}\p{Zl}\p{Zp}]*\n$/u)
            expect(answer, why).not.toContain('/etc')
          },
        })
      },
    },
    {
      id: 'U8',
      attack: 'an answer without end',
      async run(house) {
        await beside(house, async () => {
          const line = `Comment: ${'endless '.repeat(1_000)}\n`.repeat(8)
          let sent = 0
          let socket: Question['wire']['socket'] | undefined
          trick(({ wire }) => {
            socket = wire.socket
            const pour = () => {
              while (!wire.socket.destroyed && wire.socket.write(line)) sent += line.length
              sent += line.length
            }
            wire.socket.on('drain', pour)
            pour()
          })
          const mpd = await openMpd(house, house.member)
          mpd.send('playlistfind title mine\n')
          const rest = await mpd.end()
          expect(rest.length).toBeLessThanOrEqual(33 * 2 ** 20)
          expect(rest).not.toContain('theirs')
          await until(() => socket?.destroyed === true)
          expect(sent).toBeLessThan(48 * 2 ** 20)
          await inStep(house, mpd, 'endless')
        })
      },
    },
    {
      id: 'U9',
      attack: 'an answer byte by byte',
      async run(house) {
        await beside(house, async () => {
          const mpd = await openMpd(house, house.member)
          const whole = found('mine')
          trick(({ wire: { socket } }) => {
            let at = 0
            const drip = setInterval(() => {
              if (at === whole.length || socket.destroyed) return clearInterval(drip)
              socket.write(whole[at++] ?? '')
            }, 10)
          })
          expect(await mpd.ask('playlistfind title mine\n')).toBe(whole)
          await inStep(house, mpd, 'drip')
        })
      },
    },
    {
      id: 'U10',
      attack: 'answers before anything is asked',
      disturbs: true,
      async run(house) {
        for (const greeting of [
          'OK MPD 0.24.0\nOK\n',
          'OK MPD 0.24.0\nvolume: 99\nOK\n',
          `OK MPD 0.24.0\n${song('evil')}OK\n`,
        ]) {
          puppet.reset()
          puppet.greeting = greeting
          const mpd = await openMpd(house, house.member)
          const answers = await Promise.all([mpd.ask('playlistfind title mine\n')])
          expect(answers.join(), greeting).toMatch(ack)
          puppet.greeting = 'OK MPD 0.24.0\n'
          await inStep(house, mpd, greeting)
        }
        // And on lines that rest.
        for (let i = 0; i < 20; i++) {
          for (const { socket, idle } of puppet.wires) if (!idle) socket.write(song('evil'))
          await sleep(5)
          for (const { socket, idle } of puppet.wires) if (!idle) socket.write('OK\n')
          const mpd = await openMpd(house, house.member)
          const answer = await mpd.ask('playlistfind title mine\n')
          expect(answer).not.toContain('evil')
          mpd.close()
        }
        const mpd = await openMpd(house, house.member)
        await inStep(house, mpd, 'unasked')
      },
    },
    {
      id: 'U11',
      attack: 'answers to a list that are too many or too few',
      async run(house) {
        const list = (kind: '' | '_ok') =>
          `command_list${kind}_begin\nplaylistfind title mine\nplaylistfind title mine2\ncommand_list_end\n`
        const [one, two] = [song('mine'), song('mine2')]
        const okList = {
          'one OK for all': says(`${one}${two}OK\n`),
          'one too few': says(`${one}list_OK\n${two}OK\n`),
          'one too many': says(`${one}list_OK\n${two}list_OK\nlist_OK\nOK\n`),
          'very many': says('list_OK\n'.repeat(100_000)),
          'one behind the end': says(`${one}list_OK\n${two}list_OK\nOK\nlist_OK\n`),
          'an error of no command in it': says(`${one}list_OK\nACK [50@77] {play} x\n`),
          'an error, and on': says(`${one}list_OK\nACK [50@1] {play} x\n${two}list_OK\nOK\n`),
        }
        await each(house, okList, {
          ask: list('_ok'),
          check: (answer, why) => expect(answer, why).not.toMatch(/list_OK\n(?:[\s\S]*list_OK\n){2}/),
        })
        await each(
          house,
          { list_OK: says(`${one}list_OK\n${two}list_OK\nOK\n`), twice: says(`${one}OK\n${two}OK\n`) },
          { ask: list(''), check: (answer, why) => expect(answer, why).not.toMatch(/^list_OK/m) },
        )
        await each(house, { list_OK: says(`${one}list_OK\nOK\n`) }, { check: (answer) => expect(answer).toMatch(ack) })
      },
    },
    {
      id: 'U12',
      attack: 'greetings that are none, too long, or never come',
      disturbs: true,
      async run(house) {
        for (const greeting of [
          'evil\n',
          'ACK [5@0] {} evil\n',
          'OK MPD evil\n',
          'OK MPD 0.24.0 evil\n',
          `OK MPD ${'1'.repeat(200)}.0.0\n`,
          'x'.repeat(5_000_000),
          'HTTP/1.1 200 OK\r\n\r\n',
          'OK MPD 0.24.0\r\n',
          undefined,
        ]) {
          puppet.reset()
          puppet.greeting = greeting
          const mpd = await openMpd(house, house.member)
          const shown = String(greeting).slice(0, 40)
          expect(mpd.greeting, shown).toMatch(/^OK MPD \d+\.\d+\.\d+\n$/)
          expect(await mpd.ask('playlistfind title mine\n'), shown).toMatch(ack)
          expect(await mpd.ask('ping\n'), shown).toBe('OK\n')
          puppet.greeting = 'OK MPD 0.24.0\n'
          await until(async () => (await mpd.ask('playlistfind title mine\n')) === found('mine'))
          mpd.close()
        }
      },
    },
    {
      id: 'U13',
      attack: 'changes of things that do not exist, of thousands, without end, and errors instead',
      disturbs: true,
      async run(house) {
        const answers = [
          'changed: evil\nOK\n',
          'changed: constructor\nchanged: __proto__\nOK\n',
          'changed: mixer evil\nchanged: MIXER\nOK\n',
          `${'changed: evil\n'.repeat(50_000)}OK\n`,
          'changed: mi\u0000xer\nOK\n',
          'evil: mixer\nOK\n',
          'ACK [5@0] {idle} evil\n',
          'OK\nOK\nOK\n',
          'changed: mixer\n',
          'changed: '.repeat(200_000),
        ]
        for (const answer of answers) {
          const shown = answer.slice(0, 30)
          const idler = await openMpd(house, house.member)
          idler.send('idle\n')
          await until(() => [...puppet.wires].some(({ idle }) => idle))
          let told = 0
          for (const { socket, idle } of puppet.wires) if (idle && told++ === 0) socket.write(answer)
          const mpd = await openMpd(house, house.owner)
          await until(async () => (await mpd.ask('playlistfind title mine\n')) === found('mine'))
          puppet.reset()
          // The watch is anew: what was missed is told, and only what there is.
          const heard = await idler.next()
          expect(heard, shown).toMatch(
            /^(changed: (database|update|stored_playlist|playlist|player|mixer|output|options|sticker|subscription|message|neighbor|mount|partition)\n)+OK\n$/,
          )
          expect(await idler.ask('ping\n'), shown).toBe('OK\n')
          for (const one of [idler, mpd]) one.close()
        }
      },
    },
    {
      id: 'U14',
      attack: 'a list of commands that is a lie',
      disturbs: true,
      async run(house) {
        for (const answer of [
          'command: evil\ncommand: kill\ncommand: status\ncommand: constructor\nOK\n',
          `${'command: evil\n'.repeat(100_000)}OK\n`,
          'command: sta\u0000tus\nOK\n',
          'ACK [5@0] {} evil\n',
          'OK\n',
        ]) {
          puppet.reset()
          puppet.trick = ({ lines, wire }) => {
            if (lines[0] !== 'commands' && lines[0] !== 'notcommands') return false
            wire.socket.write(answer)
            return true
          }
          const mpd = await openMpd(house, house.member)
          await until(async () => (await mpd.ask('playlistfind title mine\n')) === found('mine'))
          expect(await mpd.ask('commands\n'), answer.slice(0, 20)).not.toMatch(/evil|kill|constructor/)
          for (const line of ['kill', 'config', 'evil']) {
            expect(await mpd.ask(`${line}\n`), line).toMatch(/^ACK \[[45]@0\]/)
          }
          mpd.close()
        }
        puppet.reset()
        expect(puppet.heard.filter((line) => /^(kill|config|evil)/.test(line))).toEqual([])
      },
    },
    {
      id: 'U15',
      attack: 'a broken answer that several were waiting for',
      async run(house) {
        // The same question of two people is asked once; when its answer breaks, each is served by itself.
        await beside(house, async () => {
          for (const broken of ['', 'volume: 1\n', `volume: 1\n${'evil'.repeat(3)}\nOK\n`]) {
            const clients = await Promise.all(
              [house.member, house.owner, house.kid, house.guest].map((person) => openMpd(house, person)),
            )
            let first = true
            puppet.trick = ({ lines, wire }) => {
              if (lines[0] !== 'status' || !first) return false
              first = false
              setTimeout(() => wire.socket.end(broken), 20)
              return true
            }
            const answers = await Promise.all(clients.map((mpd) => mpd.ask('status\n')))
            for (const answer of answers)
              expect(answer, broken).toMatch(/^volume: 50\n[\s\S]*\nOK\n$|^ACK \[52@0\]|^(volume: 1\n)?$/)
            expect(answers.filter((answer) => answer.startsWith('volume: 50')).length, broken).toBeGreaterThanOrEqual(3)
            for (const mpd of clients) mpd.close()
          }
          puppet.trick = undefined
        })
      },
    },
  ]),
  openPuppetHouse,
)
