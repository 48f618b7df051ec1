import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest'
import { connectMpd, connectRpc, type MpdClient, type RpcClient } from './clients.ts'
import { type Gateway, startGateway } from './gateway.ts'
import { type Mopidy, startMopidy } from './mopidy.ts'
import { mpcAt } from './mpc.ts'
import { type Mpd, startMpd } from './mpd.ts'
import { startTunnel, type Tunnel, until } from './tools.ts'

let mopidy: Mopidy
let mpd: Mpd
let gateway: Gateway
let tunnel: Tunnel
const tokens = new Map<string, string>()
const open: { close(): void }[] = []

const people = { mia: 'member', kim: 'scaled', cleo: 'clamped', kit: 'refused' } as const
type Person = keyof typeof people
const token = (who: Person) => tokens.get(who) ?? ''

async function mpdOf(who: Person, player = 'home'): Promise<MpdClient> {
  const client = await connectMpd(gateway, token(who))
  open.push(client)
  expect(await client.ask(`partition ${player}\n`)).toBe('OK\n')
  return client
}

async function rpcOf(who: Person): Promise<RpcClient> {
  const client = await connectRpc(gateway, token(who))
  open.push(client)
  return client
}

/** As the player itself has it. */
const atMopidy = async () => Number(await mopidy.rpc('core.mixer.get_volume'))
const atMpd = async () => Number(/(\d+)/.exec((await mpcAt(mpd.port)(['volume'])).stdout)?.[1])

const heard = ({ events }: RpcClient) =>
  events.filter(({ event }) => event === 'volume_changed').map(({ volume }) => volume)
const shown = async (client: MpdClient) => /^volume: (.*)$/m.exec(await client.ask('status\n'))?.[1]

describe.skipIf(!inject('real').available)('volumes at the real players', () => {
  beforeAll(async () => {
    ;[mopidy, mpd] = await Promise.all([startMopidy(), startMpd()])
    gateway = await startGateway({
      players: { home: { kind: 'mopidy', http: mopidy.http, mpd: mopidy.mpd }, den: { kind: 'mpd', mpd: mpd.mpd } },
      change(config) {
        for (const role of Object.values(config.roles)) delete role.rates
        for (const [name, over] of [
          ['refused', 'refuse'],
          ['clamped', 'clamp'],
          ['scaled', 'scale'],
        ] as const) {
          config.roles[name] = {
            grants: [{ allow: ['status.read'] }, { allow: ['volume.set'], when: { maxVolume: { max: 45, over } } }],
          }
        }
      },
    })
    for (const [who, role] of Object.entries(people)) {
      gateway.addUser(who, role)
      tokens.set(who, gateway.token(who))
    }
    tunnel = await startTunnel({ host: '127.0.0.1', port: gateway.mpd, ca: gateway.caFile })
    await until(async () => (await gateway.http('/readyz')).status === 200)
  }, 90_000)
  afterAll(async () => {
    await tunnel?.close()
    await gateway?.stop()
    await Promise.all([mopidy?.stop(), mpd?.stop()])
  })
  beforeEach(async () => {
    await mopidy.rpc('core.mixer.set_mute', [false])
    await mopidy.rpc('core.mixer.set_volume', [30])
    await mpcAt(mpd.port)(['volume', '30'])
  })
  afterEach(() => {
    for (const client of open.splice(0)) client.close()
  })

  test('a kid whose 100 is 45 sets 100 by MPD: a member sees 45, another kid 100, in answers and in events', async () => {
    const [mia, kim] = [await rpcOf('mia'), await rpcOf('kim')]
    const byMpd = await mpdOf('kim')
    expect(await byMpd.ask('setvol 100\n')).toBe('OK\n')
    expect(await atMopidy()).toBe(45)
    await until(async () => heard(mia).includes(45) && heard(kim).includes(100))
    expect(heard(kim)).not.toContain(45)
    expect(heard(mia)).not.toContain(100)
    expect((await mia.call('core.mixer.get_volume')).result).toBe(45)
    expect((await kim.call('core.mixer.get_volume')).result).toBe(100)
    expect(await shown(byMpd)).toBe('100')
    expect(await shown(await mpdOf('mia'))).toBe('45')
  })

  test('and by JSON-RPC 50: 23, which the kid goes on seeing as what setting leaves alone', async () => {
    const [mia, kim] = [await rpcOf('mia'), await rpcOf('kim')]
    expect((await kim.call('core.mixer.set_volume', { volume: 50 })).result).toBe(true)
    expect(await atMopidy()).toBe(23)
    const { result } = await kim.call('core.mixer.get_volume')
    await kim.call('core.mixer.set_volume', [result])
    expect([await atMopidy(), (await mia.call('core.mixer.get_volume')).result]).toEqual([23, 23])
  })

  test('the page of a kid shows it as the kid’s clients do', async () => {
    await mopidy.rpc('core.mixer.set_volume', [9])
    const state = async (who: Person) => {
      const { body } = await gateway.http('/players/home/state', { headers: { authorization: `Bearer ${token(who)}` } })
      return JSON.parse(body).volume
    }
    await until(async () => (await state('mia')) === 9)
    expect(await state('kim')).toBe(20)
  })

  test('who is held to a ceiling by clamping asks for 100 and sees 45, as everybody does', async () => {
    const [mia, cleo] = [await rpcOf('mia'), await rpcOf('cleo')]
    await cleo.call('core.mixer.set_volume', { volume: 100 })
    expect(await atMopidy()).toBe(45)
    await until(async () => heard(mia).includes(45) && heard(cleo).includes(45))
    expect((await cleo.call('core.mixer.get_volume')).result).toBe(45)
  })

  test.each(['home', 'den'])(
    '%s: louder and softer with mpc, which asks for what it sees and some more',
    async (player) => {
      const at = player === 'home' ? atMopidy : atMpd
      // Whose token is for one player begins there.
      const made = new Map(
        (['kit', 'cleo', 'kim', 'mia'] as const).map((who) => [who, gateway.token(who, '--player', player)]),
      )
      const mpc = (who: Person, volume: string) => mpcAt(tunnel.port, made.get(who))(['volume', volume])
      for (const [who, volume, expected] of [
        ['kit', '+5', 35],
        ['kit', '-10', 25],
        ['cleo', '+90', 45],
        ['kim', '-20', 36], // 100 to 80 as the kid has it
        ['kim', '+5', 38],
        ['mia', '+20', 58],
      ] as const) {
        expect(await mpc(who, volume)).toMatchObject({ status: 0 })
        expect(await at()).toBe(expected)
      }
      const refused = await mpc('kit', '+5')
      expect(refused.stderr).toContain('not allowed: maxVolume 45')
      expect(await at()).toBe(58)
    },
  )

  test.each(['home', 'den'])('%s: one step of a kid moves it, though the player has fewer', async (player) => {
    const at = player === 'home' ? atMopidy : atMpd
    const kim = await mpdOf('kim', player)
    expect(await kim.ask('volume 1\n')).toBe('OK\n')
    expect(await at()).toBe(31)
    expect(await kim.ask('volume -1\n')).toBe('OK\n')
    expect(await at()).toBe(30)
  })

  test.each(['home', 'den'])('%s: a list goes on from where it has set it, or does nothing', async (player) => {
    const at = player === 'home' ? atMopidy : atMpd
    const list = (...lines: readonly string[]) => ['command_list_begin', ...lines, 'command_list_end', ''].join('\n')
    const kit = await mpdOf('kit', player)
    expect(await kit.ask(list('setvol 20', 'volume 5', 'volume 5'))).toBe('OK\n')
    expect(await at()).toBe(30)
    expect(await kit.ask(list('setvol 20', 'volume 25', 'volume 5'))).toMatch(
      /^ACK \[4@2\] \{volume\} you don't have permission for "volume": not allowed: maxVolume 45\n$/,
    )
    expect(await at()).toBe(30)
  })

  test.each(['home', 'den'])('%s: ten changes from two connections at once: none lost, none above', async (player) => {
    const at = player === 'home' ? atMopidy : atMpd
    const [one, other] = [await mpdOf('cleo', player), await mpdOf('cleo', player)]
    expect(await one.ask('setvol 0\n')).toBe('OK\n')
    const five = async (client: MpdClient, change: number) => {
      for (let i = 0; i < 5; i++) expect(await client.ask(`volume ${change}\n`)).toBe('OK\n')
    }
    await Promise.all([five(one, 4), five(other, 4)])
    expect(await at()).toBe(40)
    await Promise.all([five(one, 4), five(other, 4)])
    expect(await at()).toBe(45)
  })

  test('a member sets it in between, by JSON-RPC: the kid’s next change begins there and ends at the ceiling', async () => {
    const [kim, mia] = [await mpdOf('kim'), await rpcOf('mia')]
    const louder = async () => {
      for (let i = 0; i < 20; i++) expect(await kim.ask('volume +3\n')).toBe('OK\n')
    }
    await Promise.all([louder(), mia.call('core.mixer.set_volume', { volume: 90 })])
    // The kid's first change after the member's came down to the ceiling.
    expect(await atMopidy()).toBe(45)
  })

  test('a kid unmutes when what comes back is within the ceiling, and not when somebody made it louder', async () => {
    const [kit, kim, mia] = [await rpcOf('kit'), await rpcOf('kim'), await rpcOf('mia')]
    expect((await kit.call('core.mixer.set_mute', { mute: true })).result).toBe(true)
    expect((await kit.call('core.mixer.set_mute', { mute: false })).result).toBe(true)
    expect(await mopidy.rpc('core.mixer.get_mute')).toBe(false)
    await kim.call('core.mixer.set_mute', { mute: true })
    await mia.call('core.mixer.set_volume', { volume: 80 })
    for (const client of [kit, kim]) {
      const { error } = await client.call('core.mixer.set_mute', { mute: false })
      expect(error?.message).toBe('not allowed: maxVolume 45')
    }
    expect(await mopidy.rpc('core.mixer.get_mute')).toBe(true)
    expect((await mia.call('core.mixer.set_mute', { mute: false })).result).toBe(true)
  })

  test.each(['kit', 'cleo', 'kim'] as const)(
    '%s: whatever two connections ask at once, nothing of it ends above the ceiling',
    async (who) => {
      const clients = [await mpdOf(who), await mpdOf(who, 'den'), await mpdOf(who)] as const
      const rpc = await rpcOf(who)
      const percent = fc.integer({ min: 0, max: 100 })
      const wish = fc.oneof(
        fc.record({ line: percent.map((level) => `setvol ${level}`), from: fc.nat(2) }),
        fc.record({ line: fc.integer({ min: -100, max: 100 }).map((by) => `volume ${by}`), from: fc.nat(2) }),
        fc.record({
          line: fc
            .tuple(percent, fc.integer({ min: -9, max: 60 }))
            .map(([level, by]) => `command_list_begin\nsetvol ${level}\nvolume ${by}\nvolume ${by}\ncommand_list_end`),
          from: fc.nat(2),
        }),
        percent.map((volume) => ({ set: [volume] })),
        fc.boolean().map((mute) => ({ mute })),
      )
      // MPD answers one connection in turn; the connections race.
      const before = clients.map(() => Promise.resolve(''))
      const line = (text: string, from: number) => {
        const asked = (before[from] ?? Promise.resolve('')).then(() => clients[from]?.ask(text) ?? '')
        before[from] = asked
        return asked
      }
      const ask = async (one: { line: string; from: number } | { set: number[] } | { mute: boolean }) => {
        if ('line' in one) return line(`${one.line}\n`, one.from)
        return 'set' in one ? rpc.call('core.mixer.set_volume', one.set) : rpc.call('core.mixer.set_mute', [one.mute])
      }
      await fc.assert(
        fc.asyncProperty(fc.array(fc.array(wish, { minLength: 1, maxLength: 4 }), { maxLength: 6 }), async (rounds) => {
          for (const together of rounds) {
            await Promise.all(together.map(ask))
            expect(Math.max(await atMopidy(), await atMpd())).toBeLessThanOrEqual(45)
          }
        }),
        { numRuns: 20 },
      )
    },
    60_000,
  )
})
