import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { type Gateway, startGateway } from './gateway.ts'
import { tunes } from './library.ts'
import { startMopidy } from './mopidy.ts'
import { type Mpd, startMpd } from './mpd.ts'
import { list, mopidyScript, mpdScript, okList, quote } from './script.ts'
import { until } from './tools.ts'
import { ended, type Heard, openDirect, openThrough, play, type Step, type Wire } from './wire.ts'

/** What two equal players say differently because they are asked at different times. */
const times: readonly { readonly why: string; readonly at: RegExp; readonly to: string }[] = [
  { why: 'where the song is by now', at: /^elapsed: .*$/gm, to: 'elapsed: *' },
  { why: 'the same in whole seconds, and how long the song is', at: /^time: \d+:\d+$/gm, to: 'time: *' },
  // MPD decodes ahead: in a status, and only there, this may be the next song's already
  { why: 'how long the song is', at: /^(bitrate: \d+\n)duration: .*$/gm, to: '$1duration: *' },
  { why: 'of the frames decoded last', at: /^bitrate: \d+$/gm, to: 'bitrate: *' },
  { why: 'since it began to run', at: /^uptime: \d+$/gm, to: 'uptime: *' },
  { why: 'when it last looked at its library', at: /^db_update: \d+$/gm, to: 'db_update: *' },
  { why: 'when the playlist was saved', at: /^(playlist: .*\nLast-Modified: ).*$/gm, to: '$1*' },
]

/** What two equal players say alike: without their times, and Mopidy's set of tags, which it prints as it comes, in order. */
function comparable(answer: string): string {
  const text = times.reduce((rest, { at, to }) => rest.replace(at, to), answer)
  return text.startsWith('<bytes>') ? text : text.replace(/(^tagtype: .*\n)+/gm, sorted)
}

/** How the gateway's answer differs from the player's own. */
interface Difference {
  readonly why: string
  /** The gateway's answer, made of the player's. */
  through(direct: string): string
}

const instead = (answer: string, why: string): Difference => ({ why, through: () => answer })
const replace = (from: RegExp, to: string, why: string): Difference => ({
  why,
  through: (direct) => direct.replace(from, to),
})
const sorted = (text: string) =>
  text
    .split(/(?<=\n)/)
    .sort()
    .join('')
const lines = (key: string, names: readonly string[]) => `${names.map((name) => `${key}: ${name}\n`).join('')}OK\n`
const named = (answer: string) => [...answer.matchAll(/^command: (\w+)$/gm)].map(([, name = '']) => name)
const refused = (command: string, why: string) =>
  instead(`ACK [4@0] {${command}} you don't have permission for "${command}": not offered here: ${why}\n`, why)

const players = 'the partitions are the players of the configuration'
const partitions: readonly [string, Difference][] = [
  ['listpartitions', instead('partition: home\nOK\n', players)],
  ['partition', instead('ACK [2@0] {partition} no such partition\n', players)],
  ['newpartition', refused('newpartition', players)],
  ['delpartition', refused('delpartition', players)],
  ['moveoutput', refused('moveoutput', 'an output stays with its player')],
]
const whole = 'a list is read to its end before any of it is sent: one with a fault has done nothing'
const subsystems =
  'database | stored_playlist | playlist | player | mixer | output | options | sticker | update | subscription | message | neighbor | mount | partition'

const noPath = replace(/\/\S*\/\S*/, '…', 'where its files lie is nobody’s business')

/**
 * All differences that there are, by the command or by what was sent. What has no row is the same to the byte, and a row
 * that nobody sees fails the test.
 */
const differsAtMpd = new Map<string, Difference>([
  ...partitions,
  ['status', replace(/^partition: default$/gm, 'partition: home', players)],
  [
    'commands',
    {
      why: players,
      through: (direct) =>
        lines(
          'command',
          named(direct).filter((name) => !['delpartition', 'moveoutput', 'newpartition'].includes(name)),
        ),
    },
  ],
  ['notcommands', instead(lines('command', ['delpartition', 'moveoutput', 'newpartition']), players)],
  ['idle nosuch', instead(`ACK [2@0] {idle} ${subsystems} expected: nosuch\n`, 'it says which there are')],
  [
    'list title "Böse Buben"',
    {
      why: 'an artist alone is understood after every tag, not only after album',
      through: () => lines('Title', ['Grüße aus "Köln"', 'Straße', 'Öl', 'Über den Dächern']),
    },
  ],
  ['listfiles "No such folder"', noPath],
  ['listfiles "Anna Ring/No such folder"', noPath],
  [list('getvol', 'setvol many', 'getvol'), instead('ACK [2@1] {setvol} Volume from 0 to 100 expected: many\n', whole)],
  [okList('getvol', 'nosuchcommand', 'getvol'), instead('ACK [5@1] {} unknown command "nosuchcommand"\n', whole)],
  [
    'command_list_ok_begin\ngetvol\ncommand_list_begin\ncommand_list_end',
    instead('ACK [5@1] {} "command_list_begin" cannot be part of a command list\n', whole),
  ],
  [
    list('ping', 'close'),
    instead('ACK [5@1] {} "close" cannot be part of a command list\n', 'what ends the connection stands alone'),
  ],
  ['kill', instead('ACK [52@0] {kill} the connection to the player broke\n', 'it is the player that ends')],
])

/** Commands that Mopidy-MPD lists and does not have. Its ACK of code 0 is none that MPD or its clients know. */
const stubs = ['addtagid', 'channels', 'clearerror', 'cleartagid', 'crossfade', 'listfiles', 'listmounts']
  .concat(['listneighbors', 'mixrampdb', 'mount', 'playlistfind', 'playlistsearch', 'prio', 'prioid', 'rangeid'])
  .concat(['readmessages', 'replay_gain_mode', 'sendmessage', 'sticker', 'subscribe', 'unmount', 'unsubscribe'])

const differsAtMopidy = new Map<string, Difference>([
  ...partitions,
  ...stubs.map((name): [string, Difference] => [
    name,
    replace(
      /^ACK \[0@(\d)\] (\{\w+\}) Not implemented$/m,
      'ACK [5@$1] $2 Not implemented',
      '0 is no error code of MPD',
    ),
  ]),
  ...['listall', 'listallinfo'].map((name): [string, Difference] => [
    name,
    replace(/^ACK \[0@0\]/, 'ACK [52@0]', '0 is no error code of MPD'),
  ]),
  [
    'commands',
    {
      why: 'what is the gateway’s own, and what this person may as far as the gateway is concerned',
      through: (direct) => lines('command', [...named(direct), 'config', 'kill', 'listpartitions', 'partition'].sort()),
    },
  ],
  ['notcommands', instead('OK\n', 'the same')],
  [okList('outputs', 'nosuchcommand', 'outputs'), instead('ACK [5@1] {} unknown command "nosuchcommand"\n', whole)],
  ['idle options\nnoidle', instead('changed: options\nOK\n', 'as at MPD, noidle forgets no change')],
  [
    'idle nosuch\nnoidle',
    instead(`ACK [2@0] {idle} ${subsystems} expected: nosuch\n`, 'as at MPD, only what there is can be waited for'),
  ],
  ['close', replace(new RegExp(`OK\n${ended}`), ended, 'as at MPD, nobody answers a farewell')],
])

interface House {
  readonly name: string
  readonly script: readonly Step[]
  /** As this player calls them. */
  readonly tunes: readonly string[]
  readonly differs: ReadonlyMap<string, Difference>
  /** What the player itself only ever refuses here, and why. */
  readonly barren: ReadonlyMap<string, string>
  start(): Promise<Pair>
}

/** Two equal, fresh players: one to be asked directly, one through the gateway. */
interface Pair {
  readonly direct: number
  readonly through: number
  readonly player: Record<string, unknown>
  restart(): Promise<void>
  stop(): Promise<void>
}

/** Ends it in the hard way, as it may not end in the soft one, and starts it again. */
async function anew(player: Pick<Mpd, 'kill9' | 'restart'>): Promise<void> {
  await player.kill9()
  await player.restart()
}

const mpd: House = {
  name: 'MPD',
  script: mpdScript,
  tunes: tunes.map(({ path }) => path),
  differs: differsAtMpd,
  barren: new Map([
    ['config', 'only for clients of a local socket'],
    ['getfingerprint', 'has a test of its own'],
    ['mount', 'no storage to mount without a cache directory'],
    ['outputset', 'the null output has no attributes'],
    ['password', 'it has none'],
    ['unmount', 'nothing is mounted'],
  ]),
  async start() {
    const [direct, through] = await Promise.all([startMpd(), startMpd()])
    return {
      direct: direct.port,
      through: through.port,
      player: { kind: 'mpd', mpd: through.mpd },
      restart: async () => void (await Promise.all([anew(direct), anew(through)])),
      stop: async () => void (await Promise.all([direct.stop(), through.stop()])),
    }
  },
}

const mopidy: House = {
  name: 'Mopidy',
  script: mopidyScript,
  tunes: tunes.map(({ uri }) => uri),
  differs: differsAtMopidy,
  barren: new Map([
    ...stubs
      .filter((name) => name !== 'playlistfind' && name !== 'sticker') // the one can a little, the other is not listed
      .map((name): [string, string] => [name, 'not implemented']),
    ['mixrampdelay', 'takes whole seconds, and then it is not implemented'],
    ['config', 'never permitted'],
    ['kill', 'never permitted'],
    ['listall', 'switched off by default'],
    ['listallinfo', 'switched off by default'],
    ['password', 'it has none'],
  ]),
  async start() {
    const [direct, through] = await Promise.all([startMopidy(), startMopidy({ mpdConnections: 20 })])
    return {
      direct: direct.mpdPort,
      through: through.mpdPort,
      player: { kind: 'mopidy', http: through.http, mpd: through.mpd },
      restart: async () => void (await Promise.all([anew(direct), anew(through)])),
      stop: async () => void (await Promise.all([direct.stop(), through.stop()])),
    }
  },
}

/** The commands of what was sent at once. */
const commandsOf = (sent: string) =>
  sent
    .split('\n')
    .map((line) => line.split(' ')[0] ?? '')
    .filter((word) => !/^command_list_|^noidle$|^$/.test(word))

const isAck = (answer: string) => /^ACK \[/m.test(answer)

async function openGateway(pair: Pair): Promise<{ gateway: Gateway; token: string }> {
  const gateway = await startGateway({
    players: { home: pair.player },
    users: { ada: 'owner', ben: 'owner' },
    change: (config) => {
      for (const role of Object.values(config.roles)) delete role.rates // asked far more than a person asks
      const uris = { allow: ['http://127.0.0.1:9/'] } // where nobody listens; it takes to be named
      config.roles.owner?.grants.push({ allow: ['*'], when: { uris } })
    },
  })
  const token = gateway.token('ada')
  await ready(gateway, token)
  return { gateway, token }
}

/** Waits until the player is reached, as what the gateway says of it it has from there. */
const ready = (gateway: Gateway, token: string) =>
  until(async () => {
    const wire = await openThrough(gateway, token)
    const answer = await wire.ask('status\n')
    wire.close()
    return !isAck(answer)
  })

/** Asks the player past the gateway; it may have been restarted since. */
function asker(port: number) {
  let wire: Promise<Wire> | undefined
  return {
    async ask(line: string) {
      if (!wire || (await wire).closed) wire = openDirect(port)
      return (await wire).ask(`${line}\n`)
    },
    close: async () => (await wire)?.close(),
  }
}

async function played(script: readonly Step[], port: number, open: () => Promise<Wire>): Promise<readonly Heard[]> {
  const control = asker(port)
  const heard = await play(script, { open, status: () => control.ask('status') })
  await control.close()
  return heard.map(({ answer, ...rest }) => ({ ...rest, answer: comparable(answer) }))
}

describe.skipIf(!inject('real').available).each([mpd, mopidy])('$name, directly and through the gateway', (house) => {
  let pair: Pair
  let gateway: Gateway
  let token: string
  let direct: readonly Heard[]
  let through: readonly Heard[]

  beforeAll(async () => {
    pair = await house.start()
    const [opened, heard] = await Promise.all([
      openGateway(pair),
      played(house.script, pair.direct, () => openDirect(pair.direct)),
    ])
    gateway = opened.gateway
    token = opened.token
    direct = heard
    through = await played(house.script, pair.through, () => openThrough(gateway, token))
  })
  afterAll(async () => {
    await gateway?.stop()
    await pair?.stop()
  })

  const rowsOf = ({ sent }: Heard): readonly { key: string; row: Difference }[] => {
    const keys = house.differs.has(sent) ? [sent] : [...new Set(commandsOf(sent))]
    return keys.flatMap((key) => {
      const row = house.differs.get(key)
      return row ? [{ key, row }] : []
    })
  }

  test('every command that the player lists is asked, and gets more than a refusal where the player has more', () => {
    const offered = direct.filter(({ sent }) => sent === 'commands' || sent === 'notcommands')
    const names = offered.flatMap(({ answer }) => named(answer))
    expect(names.length).toBeGreaterThan(90)
    const fruitful = new Set(direct.flatMap(({ sent, answer }) => (isAck(answer) ? [] : commandsOf(sent))))
    expect(names.filter((name) => !fruitful.has(name)).sort()).toEqual([...house.barren.keys()].sort())
    const asked = new Set(direct.flatMap(({ sent }) => commandsOf(sent)))
    expect(names.filter((name) => !asked.has(name))).toEqual([])
  })

  test('the answers are the same to the byte, save for what is listed', () => {
    expect(through.map(({ by, sent }) => [by, sent])).toEqual(direct.map(({ by, sent }) => [by, sent]))
    const wrong = direct.flatMap((one, at) => {
      const expected = rowsOf(one).reduce((answer, { row }) => row.through(answer), one.answer)
      const found = through[at]?.answer
      return found === expected ? [] : [{ at, by: one.by, sent: one.sent, found, expected }]
    })
    expect(wrong).toEqual([])
  })

  test('many at once, each with settings of its own, get what they would get alone', async () => {
    await pair.restart()
    await ready(gateway, token)
    const control = asker(pair.through)
    await control.ask('clear')
    for (const tune of house.tunes) expect(await control.ask(`add ${quote(tune)}`)).toBe('OK\n')
    await control.close()

    const [tune = ''] = house.tunes
    const settings = [
      [],
      ['tagtypes clear'],
      ['tagtypes clear', 'tagtypes enable Title Album'],
      ['tagtypes disable Artist', 'binarylimit 64'],
      ['binarylimit 3000', 'tagtypes all', 'tagtypes disable Title'],
    ]
    const reads = [
      ...['playlistinfo', 'playlistinfo 1', 'tagtypes', 'find album "First Light"', 'plchanges 0'],
      ...[`albumart ${quote(tune)} 0`, `readpicture ${quote(tune)} 8192`, 'playlistid', 'outputs'],
      okList('playlistinfo 0', 'tagtypes', `readpicture ${quote(tune)} 0`),
      okList('tagtypes clear', 'playlistinfo 0', 'deleteid 9999'),
      ...['playlistinfo', 'tagtypes', 'tagtypes all', 'playlistinfo 1'],
    ]
    const answers = async (wire: Wire, lines: readonly string[]) => {
      wire.send(lines.map((line) => `${line}\n`).join(''))
      const heard: string[] = []
      for (const line of lines) heard.push(`${line}\n${comparable(await wire.hear())}`)
      wire.close()
      return heard
    }
    const clients = settings.flatMap((own) => reads.slice(0, 6).map((_, i) => [...own, ...reads.slice(i), ...reads]))
    const alone: string[][] = []
    for (const lines of clients) alone.push(await answers(await openDirect(pair.through), lines))
    // Costly commands of one person may wait, but not more than 16 of them
    const both = [token, gateway.token('ben')]
    const open = await Promise.all(
      clients.map(async (lines, i) => ({ lines, wire: await openThrough(gateway, both[i % 2] ?? '') })),
    )
    const together = await Promise.all(open.map(({ lines, wire }) => answers(wire, lines)))
    const wrong = alone.flatMap((heard, i) =>
      heard.flatMap((expected, at) => (together[i]?.[at] === expected ? [] : [{ expected, found: together[i]?.[at] }])),
    )
    expect(wrong.slice(0, 3)).toEqual([])
  })

  test('and what is listed is seen', () => {
    const seen = direct.flatMap((one, at) => {
      const differs = one.answer !== through[at]?.answer
      return rowsOf(one).flatMap(({ key, row }) => (differs && row.through(one.answer) !== one.answer ? [key] : []))
    })
    expect([...house.differs.keys()].filter((key) => !seen.includes(key))).toEqual([])
  })
})

/** Forms that a command may or may not have: too few arguments, too many, and numbers that are none. */
const tooMany = Array(70).fill('x').join(' ')
const forms = ['', 'x', '-1', '0', '99999999999', '1:0', '1:', '""', 'x x', '0 x', 'x 0', '0 0', '-5 -5'].concat([
  'x x x',
  '0 0 0',
  'x x x x x',
  Array(63).fill('x').join(' '),
  Array(70).fill('x').join(' '),
])

/** What cannot be asked in every form. */
const unasked = new Map([
  ['close', 'ends the connection, whatever follows'],
  ['kill', 'ends MPD, whatever follows'],
  ['password', 'the third wrong one ends the connection'],
  ['newpartition', 'refused whatever follows; it would change MPD'],
  ['delpartition', 'refused whatever follows'],
  ['moveoutput', 'refused whatever follows'],
])

const everything = 'the whole queue by another name than clear'
const bounds = 'no time that there is'
const noName = 'no name at all'
/** Where the gateway's ACK is another than MPD's, or where only one of the two is an ACK. */
const otherwise = new Map([
  ['partition', 'a name that there is not is a wrong argument'],
  ['delete -1', everything],
  ['shuffle -1', everything],
  ['mixrampdb 99999999999', bounds],
  ['mixrampdelay 99999999999', bounds],
  ['seekcur 99999999999', bounds],
  ['plchanges 99999999999', 'no version that there can be'],
  ['plchangesposid 99999999999', 'no version that there can be'],
  ['listplaylist ""', noName],
  ['listplaylistinfo ""', noName],
  ['load ""', noName],
  ['unsubscribe ""', noName],
])

describe.skipIf(!inject('real').available)('MPD, asked for once', () => {
  let pair: Pair
  let gateway: Gateway
  let token: string
  let wires: readonly [Wire, Wire]

  beforeAll(async () => {
    pair = await mpd.start()
    const opened = await openGateway(pair)
    gateway = opened.gateway
    token = opened.token
    wires = [await openDirect(pair.direct), await openThrough(gateway, token)]
  })
  afterAll(async () => {
    for (const wire of wires ?? []) wire.close()
    await gateway?.stop()
    await pair?.stop()
  })

  const verdict = (answer: string) =>
    answer.endsWith(ended) ? ended : (/^ACK \[\d+@\d+\] \{\w*\}/m.exec(answer)?.[0] ?? 'OK')

  test('a command in the wrong form is refused with MPD’s code and the command, save for what is listed', async () => {
    const [direct, through] = wires
    const wrong: unknown[] = []
    const different = new Set<string>()
    let refusals = 0
    for (const command of named(await direct.ask('commands\n'))) {
      if (unasked.has(command)) continue
      for (const form of forms) {
        const line = `${command} ${form}`.trim()
        if (line === 'idle') continue // a right form, and it waits
        const [expected, found] = [await direct.ask(`${line}\n`), await through.ask(`${line}\n`)]
        if (isAck(expected)) refusals++
        // MPD reads no name from a line of more than 64 arguments
        const right = form === tooMany ? verdict(expected).replace('{}', `{${command}}`) : verdict(expected)
        if (verdict(found) === right) continue
        const row = otherwise.has(command) ? command : line
        different.add(row)
        if (!otherwise.has(row)) wrong.push({ line, found, expected })
      }
    }
    expect(wrong).toEqual([])
    expect([...otherwise.keys()].filter((line) => !different.has(line))).toEqual([])
    expect(refusals).toBeGreaterThan(1000)
  })

  test('a fingerprint is the same, whenever MPD remembers to answer', async () => {
    // MPD 0.23.12 loses some of these answers, whoever asks; nothing but a new beginning helps.
    const ask = async (open: () => Promise<Wire>): Promise<string | undefined> => {
      const wire = await open()
      const answer = await wire.ask(`getfingerprint ${quote(tunes[0]?.path ?? '')}\n`, 2_000).catch(() => undefined)
      wire.close()
      if (answer === undefined) {
        await pair.restart()
        await ready(gateway, token)
      }
      return answer
    }
    const direct = await until(() => ask(() => openDirect(pair.direct)))
    expect(direct).toMatch(/^chromaprint: \w+\nOK\n$/)
    expect(await until(() => ask(() => openThrough(gateway, token)))).toBe(direct)
  })
})
