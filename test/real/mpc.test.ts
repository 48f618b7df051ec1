import { once } from 'node:events'
import { connect } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest'
import { tunes } from './library.ts'
import { type House, mpcAt, openHouse, type Person, steady } from './mpc.ts'
import { type Mpd, startMpd } from './mpd.ts'
import { endChild, startChild, until } from './tools.ts'

const [dawn = '', noon = '', dusk = ''] = tunes.map(({ path }) => path)

/** Sends commands to a player directly, all or none, and answers with what it said. */
async function tell(port: number, ...commands: string[]): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.end(['command_list_begin', ...commands, 'command_list_end', 'close', ''].join('\n'))
  let said = ''
  socket.setEncoding('utf8').on('data', (piece) => (said += piece))
  await once(socket, 'close')
  if (/^ACK/m.test(said)) throw new Error(said)
  return said
}

/** One `key: value` of an answer. */
const lineOf = (answer: string, key: string) => new RegExp(`^${key}: (.*)$`, 'm').exec(answer)?.[1]

type Mpc = ReturnType<typeof mpcAt>

/** What a player says of its state, without what goes on by itself: the queue's counter, the song, the decoder. */
const settled = (said: string) =>
  said.replace(/^(?:playlist|songid|nextsongid|elapsed|time|bitrate|audio|updating_db): .*\n/gm, '')

describe.skipIf(!inject('real').available)('mpc, its whole command set, in front of a real MPD', () => {
  let mpd: Mpd
  let house: House
  let direct: Mpc
  const as = (who: Person) => mpcAt(house.tunnel.port, house.token(who))
  const status = () => tell(mpd.port, 'status')

  beforeAll(async () => {
    mpd = await startMpd()
    house = await openHouse({ kind: 'mpd', mpd: mpd.mpd })
    direct = mpcAt(mpd.port)
  })
  afterAll(async () => {
    await house?.stop()
    await mpd?.stop()
  })

  const stored = 'Evening'
  /** The same player every time: three songs queued, nothing plays, one stored playlist, no sticker. */
  async function reset(...more: string[]): Promise<void> {
    await tell(mpd.port, `playlistclear "${stored}"`, `rm "${stored}"`).catch(() => {})
    await tell(mpd.port, `rm "New"`).catch(() => {})
    await tell(mpd.port, `sticker delete song "${dawn}" mood`).catch(() => {})
    const quiet = ['random', 'repeat', 'single', 'consume', 'crossfade'].map((name) => `${name} 0`)
    const songs = [dawn, noon, dusk].flatMap((path) => [`add "${path}"`, `playlistadd "${stored}" "${path}"`])
    const rest = [
      'mixrampdb 0',
      'mixrampdelay nan',
      'setvol 50',
      'enableoutput 0',
      'replay_gain_mode off',
      'clearerror',
    ]
    await tell(mpd.port, 'stop', 'clear', ...quiet, ...rest, ...songs)
    for (const command of more) {
      await tell(mpd.port, command)
      // Until the decoder has begun, its status is that of the song before.
      if (command.startsWith('play')) await until(async () => /^audio: /m.test(await status()) || undefined)
    }
  }
  const playing = ['play 1']
  const paused = ['play 1', 'pause 1']

  /** What mpc is given, after what was done at the player. */
  const rows: readonly (readonly [args: readonly string[], before?: readonly string[]])[] = [
    [[]],
    [[], playing],
    [['status']],
    [['status'], paused],
    [['status', '%state% %volume% %random% %repeat% %single% %consume% %length%']],
    [['version']],
    [['stats']],
    [['current']],
    [['current'], paused],
    [['current', '-f', '%artist% · %title% · %file% · %position%'], paused],
    [['queued'], paused],
    [['playlist']],
    [['playlist', '-f', '%position% %file%']],
    [['playlist', stored]],
    [['playlist', 'nothing']],
    [['play']],
    [['play', '2']],
    [['play', '99']],
    [['pause'], playing],
    [['pause-if-playing'], playing],
    [['pause-if-playing']],
    [['toggle']],
    [['toggle'], playing],
    [['toggle'], paused],
    [['stop'], playing],
    [['next'], playing],
    [['next']],
    [['prev'], playing],
    [['cdprev'], playing],
    [['seek', '5'], paused],
    [['seek', '+3'], paused],
    [['seek', '50%'], paused],
    [['seek', '99:00']],
    [['seekthrough', '+10'], paused],
    [['add', dawn]],
    [['add', 'Anna Ring']],
    [['add', 'nothing']],
    [['add', dawn, noon, dusk]],
    [['insert', dusk], paused],
    [['insert', dusk]],
    [['del', '1']],
    [['del', '0'], paused],
    [['del', '9']],
    [['move', '1', '3']],
    [['move', '1', '9']],
    [['crop'], paused],
    [['crop']],
    [['clear']],
    [['prio', '7', '1']],
    [['prio', '7', '1-2']],
    [['shuffle']],
    [['random', 'on']],
    [['random']],
    [['repeat', 'on']],
    [['single', 'on']],
    [['single', 'once']],
    [['consume', 'on']],
    [['volume']],
    [['volume', '30']],
    [['volume', '+5']],
    [['volume', '-5']],
    [['volume', '+80']],
    [['crossfade']],
    [['crossfade', '4']],
    [['mixrampdb', '-17']],
    [['mixrampdb']],
    [['mixrampdelay', '2']],
    [['mixrampdelay']],
    [['replaygain']],
    [['replaygain', 'album']],
    [['clearerror']],
    [['outputs']],
    [['disable', '1']],
    [['enable', '1']],
    [['enable', 'only', '1']],
    [['toggleoutput', '1']],
    [['disable', 'null']],
    [['enable', '9']],
    [['outputset', '1', 'x=y']],
    [['ls']],
    [['ls', 'Anna Ring']],
    [['ls', 'nothing']],
    [['listall']],
    [['listall', 'Anna Ring']],
    [['lsplaylists']],
    [['list', 'artist']],
    [['list', 'title', 'artist', 'Anna Ring']],
    [['list', 'album', '(artist == "Böse Buben")']],
    [['search', 'any', 'dawn']],
    [['search', 'artist', 'BÖSE']],
    [['search', '(title contains "don\'t")']],
    [['find', 'title', 'Dawn']],
    [['find', '((artist == "Anna Ring") AND (!(title == "Dawn")))']],
    [['find', 'title', 'Back\\slash']],
    [['find', 'title', 'Grüße aus "Köln"']],
    [['find', 'nonsense', 'x']],
    [['-f', '%artist% %title% %track% %time%', 'find', 'album', 'First Light']],
    [['findadd', 'title', 'Hum']],
    [['searchadd', 'artist', 'anna']],
    [['searchplay', 'dusk']],
    [['load', stored]],
    [['--range=1:2', 'load', stored]],
    [['load', 'nothing']],
    [['save', 'New']],
    [['save', stored]],
    [['rm', stored]],
    [['rm', 'nothing']],
    [['update']],
    [['--wait', 'update', 'Anna Ring']],
    [['--wait', 'rescan', 'Anna Ring']],
    [['sticker', dawn, 'set', 'mood', 'calm']],
    [['sticker', dawn, 'get', 'mood'], [`sticker set song "${dawn}" mood "two words"`]],
    [['sticker', dawn, 'get', 'mood']],
    [['sticker', dawn, 'list'], [`sticker set song "${dawn}" mood calm`]],
    [['sticker', '', 'find', 'mood'], [`sticker set song "${dawn}" mood calm`]],
    [['sticker', dawn, 'delete', 'mood'], [`sticker set song "${dawn}" mood calm`]],
    [['channels']],
    [['sendmessage', 'nobody', 'hears']],
    [['mount']],
    [['mount', 'x', 'nonsense://']],
    [['unmount', 'x']],
    [['listneighbors']],
    [['albumart', dawn]],
    [['readpicture', dawn]],
    [['readpicture', 'nothing']],
    [['nonsense']],
  ]

  const cases = rows.map(([args, before = []]) => [args, before] as const)
  test.each(cases)('mpc %j after %j: as on MPD itself', async (args, before) => {
    const seen: unknown[] = []
    for (const mpc of [direct, as('ada')]) {
      await reset(...before)
      const finished = steady(await mpc(args, 'latin1'))
      const after = await tell(mpd.port, 'status', 'playlist', 'outputs')
      const state = settled(after)
      const shuffled = state
        .replace(/^\d+:(?=file:)/gm, '')
        .split('\n')
        .sort()
      seen.push({ ...finished, state: args[0] === 'shuffle' ? shuffled : state })
    }
    expect(seen[1]).toEqual(seen[0])
  })

  /** A command of mpc that stays; what it says is collected until it ends or is ended. */
  function start(who: Person, ...args: string[]) {
    const env = { ...process.env, MPD_HOST: `${house.token(who)}@127.0.0.1`, MPD_PORT: String(house.tunnel.port) }
    // Line by line, as in a terminal.
    const child = startChild('stdbuf', ['-oL', 'mpc', ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
    const heard = { text: '' }
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (piece) => (heard.text += piece))
    return { heard, gone: once(child, 'close'), end: () => endChild(child) }
  }
  const subscribed = (channel: string) =>
    until(async () => (await tell(mpd.port, 'channels')).includes(`channel: ${channel}\n`))

  test('sendmessage reaches waitmessage', async () => {
    await reset()
    const waiting = start('mia', 'waitmessage', 'kitchen')
    await subscribed('kitchen')
    expect((await as('ada')(['channels'])).stdout).toContain('kitchen')
    expect(await as('ada')(['sendmessage', 'kitchen', 'dinner is "ready"'])).toMatchObject({ status: 0, stderr: '' })
    await waiting.gone
    expect(waiting.heard.text).toContain('dinner is "ready"')
    await until(async () => !(await tell(mpd.port, 'channels')).includes('kitchen'))
  })

  test('subscribe hears one message after another', async () => {
    const listening = start('mia', 'subscribe', 'hall')
    try {
      await subscribed('hall')
      for (const word of ['one', 'two', 'three']) await as('ada')(['sendmessage', 'hall', word])
      await until(() => listening.heard.text.includes('three'))
      expect(listening.heard.text.match(/one|two|three/g)).toEqual(['one', 'two', 'three'])
    } finally {
      await listening.end()
    }
  })

  test('idle ends with what somebody else changed', async () => {
    await reset()
    const waiting = start('gus', 'idle', 'mixer')
    let volume = 50
    // It may not wait yet: another change does no harm.
    const again = setInterval(() => {
      volume = 101 - volume
      void tell(mpd.port, `setvol ${volume}`)
    }, 100)
    await waiting.gone
    clearInterval(again)
    expect(waiting.heard.text).toBe('mixer\n')
  })

  test('idleloop goes on', async () => {
    await reset()
    const waiting = start('gus', 'idleloop')
    try {
      for (const [command, said] of [
        ['setvol 31', 'mixer'],
        ['random 1', 'options'],
        ['add "Anna Ring"', 'playlist'],
        ['setvol 32', 'mixer'],
      ] as const) {
        waiting.heard.text = ''
        await until(async () => {
          await tell(mpd.port, command)
          return waiting.heard.text.includes(said) || undefined
        })
      }
    } finally {
      await waiting.end()
    }
  })

  describe('who may not is told so by mpc, and nothing has changed', () => {
    beforeEach(() => reset(...playing, 'pause 1'))

    test.each([
      [['clear'], 'clear'],
      [['del', '1'], 'delete'],
      [['crop'], 'delete'],
      [['move', '1', '2'], 'move'],
      [['shuffle'], 'shuffle'],
      [['play'], 'play'],
      [['toggle'], 'play'],
      [['next'], 'next'],
      [['stop'], 'stop'],
      [['volume', '20'], 'setvol'],
      [['volume', '+5'], 'setvol'],
      [['random', 'on'], 'random'],
      [['single', 'once'], 'single'],
      [['crossfade', '3'], 'crossfade'],
      [['replaygain', 'album'], 'replay_gain_mode'],
      [['disable', '1'], 'disableoutput'],
      [['save', 'New'], 'save'],
      [['rm', stored], 'rm'],
      [['load', stored], 'load'],
      [['update'], 'update'],
      [['sticker', dawn, 'set', 'mood', 'bad'], 'sticker'],
      [['sendmessage', 'hall', 'hello'], 'sendmessage'],
      [['mount', 'x', 'nfs://x'], 'mount'],
      [['add', 'http://127.0.0.1/'], 'add'],
    ] as const)('a guest · mpc %j', async (args, command) => {
      const look = async () => settled(await tell(mpd.port, 'status', 'playlist', 'outputs', 'listplaylists'))
      const before = await look()
      const { status: code, stderr } = await as('gus')(args)
      expect(stderr).toContain(`you don't have permission for "${command}"`)
      expect(code).toBe(1)
      expect(await look()).toBe(before)
    })

    test('a file by its path is no song to anybody', async () => {
      const { status: code, stderr } = await as('gus')(['add', '/etc/passwd'])
      expect([code, stderr]).toEqual([1, expect.stringContaining('not an acceptable URI')])
    })

    test('a kid: up to 40 and not above', async () => {
      expect(await as('kim')(['volume', '40'])).toMatchObject({ status: 0 })
      const { status: code, stderr } = await as('kim')(['volume', '41'])
      expect([code, stderr]).toEqual([1, expect.stringMatching(/permission for "setvol".*maxVolume 40/)])
      expect(lineOf(await status(), 'volume')).toBe('40')
      expect((await as('kim')(['volume', '+1'])).status).toBe(1)
      expect(lineOf(await status(), 'volume')).toBe('40')
    })

    test('no token, a wrong one, and the password of an account', async () => {
      expect((await mpcAt(house.tunnel.port)(['status'])).stderr).toMatch(/permission/)
      for (const wrong of ['sd1_0000000000000000_wrong', 'correct horse ada'])
        expect(await mpcAt(house.tunnel.port, wrong)(['status'])).toMatchObject({
          status: 1,
          stderr: expect.stringContaining('password'),
        })
    })
  })
})
