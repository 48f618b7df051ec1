import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import { type Config, defaults } from '../../src/config/schema.ts'
import type { Source } from '../../src/config/watch.ts'
import { type Demo, startDemo } from '../../src/demo/player.ts'
import { startGateway } from '../../src/gateway.ts'
import { createPasswords } from '../../src/identity/password.ts'
import { createSecret, hashSecret, writeDeviceToken } from '../../src/identity/tokens.ts'
import { type Accounts, openAccounts } from '../../src/store/accounts.ts'
import { until } from '../real/tools.ts'
import { ask, type MpdClient, openMpd, openWs, type WsClient } from './clients.ts'

/** One attack from outside. What must hold after each of them is the harness's business, not the row's. */
export interface Row {
  /** As in docs/threats.md. */
  readonly id: string
  readonly attack: string
  /** What the row itself lets somebody do who may: `METHOD {PARAMS}`, or a line of MPD. Anything else at the player is a hole. */
  readonly reaches?: readonly RegExp[]
  /** It hurts the player or moves the clock, so that the bystanders may have to connect anew. */
  readonly disturbs?: true
  run(house: House): Promise<void>
}

export interface Person {
  readonly id: string
  readonly name: string
  readonly password: string
  /** A device token. */
  readonly token: string
}

/** A player beside the demo, or whatever else the gateway may send something to. */
export interface Neighbour {
  /** What came to it since it was last forgotten, without the gateway's own questions, in words a row can name. */
  heard(): readonly string[]
  /** Every byte of that. */
  sent(): string
  /** Ends the row's look at it, and makes it honest again. */
  forget(): void
  /** What holds after every row besides. @throws when it does not */
  check?(): void
}

/** A running gateway with the demo player behind it, as a row sees it. */
export interface House {
  readonly https: number
  readonly mpd: number
  /** MPD without TLS, where the configuration opens it. */
  readonly plain: number
  readonly ca: string
  readonly data: string
  readonly certs: string
  readonly demo: Demo
  /** The accounts as the command line has them: over a connection of its own. */
  readonly accounts: Accounts
  /** All that was logged, nothing redacted. */
  readonly log: readonly Readonly<Record<string, unknown>>[]
  /** People of the shipped roles, whom no other row uses. */
  readonly owner: Person
  readonly member: Person
  readonly guest: Person
  readonly kid: Person
  /** An address that no other row comes from. */
  readonly from: string
  address(): string
  person(role: string, roles?: readonly string[]): Person
  /** A device token of limits of its own. */
  tokenOf(person: Person, limits?: { expires?: number; role?: string }): string
  /** From now on this text must neither be logged nor reach the player. */
  keep(secret: string): string
  now(): number
  /** Moves the gateway's clock forward. */
  jump(milliseconds: number): void
  createSetup(): string | undefined
  close(): Promise<void>
}

export const root = fileURLToPath(new URL('../..', import.meta.url))
// The é shows whether two spellings of one letter are one password.
export const password = 'correct horse caf\u00e9 staple'
const hash = createPasswords().hash(password)

let addresses = 0

export interface HouseOptions {
  readonly people?: number
  readonly change?: (config: Config) => Config
  /** Where a newer configuration would be. */
  readonly source?: Source
  readonly http?: string
  /** Where the player's MPD door is, when it is not the demo's. */
  readonly mpd?: string
  readonly data?: string
  readonly limits?: Parameters<typeof startGateway>[0]['limits']
  /** What names stand for; as this machine has it when left out. */
  readonly lookup?: Parameters<typeof startGateway>[0]['lookup']
  /** What else rows are judged by. */
  readonly beside?: readonly Neighbour[]
}

export type OpenHouse = House & {
  of(row: number): House
  readonly secrets: ReadonlySet<string>
  readonly beside: readonly Neighbour[]
}

/** Starts a gateway on free ports of its own, with the shipped roles. `people` of each role are made before it starts. */
export async function openHouse(options: HouseOptions = {}): Promise<OpenHouse> {
  const dir = mkdtempSync(join(tmpdir(), 'stagedoor-threats-'))
  const [data, certs] = [options.data ?? join(dir, 'data'), join(dir, 'certs')]
  const demo = await startDemo()
  const { config: shipped } = loadConfig(join(root, 'config/stagedoor.yaml'), {})
  if (!shipped) throw new Error('the shipped configuration has problems')
  const config: Config = {
    ...shipped,
    listen: {
      ...shipped.listen,
      https: { host: '127.0.0.1', port: 0, names: [] },
      mpd: { ...defaults.mpdDoor, host: '127.0.0.1', port: 0 },
    },
    tls: { dir: certs },
    players: new Map([['home', { kind: 'mopidy', http: options.http ?? demo.http, mpd: options.mpd ?? demo.mpd }]]),
  }
  let offset = 0
  const now = () => Date.now() + offset
  const log: Record<string, unknown>[] = []
  const line = (level: string) => (about: object, text: string) => void log.push({ level, ...about, msg: text })
  const accounts = openAccounts({ dir: data, now, pollMs: 0, busyMs: 5_000 })
  const secrets = new Set<string>([password])
  const stored = await hash
  let people = 0

  const keep = (secret: string) => {
    secrets.add(secret)
    return secret
  }
  const tokenOf: House['tokenOf'] = ({ id }, { expires, role } = {}) => {
    const secret = createSecret()
    const given = { account: id, label: 'test', role: role ?? null, players: null, expires: expires ?? null }
    return keep(writeDeviceToken(accounts.createToken(given, hashSecret(secret)).id, secret))
  }
  const person: House['person'] = (role, roles = [role]) => {
    const { id, name } = accounts.create({ name: `${role.replace(/\W/g, '')}${++people}`, roles, password: stored })
    return { id, name, password, token: tokenOf({ id, name, password, token: '' }) }
  }
  const crowd = Array.from({ length: options.people ?? 1 }, () => ({
    owner: person('owner'),
    member: person('member'),
    guest: person('guest'),
    kid: person('kid'),
  }))
  const nobody = { id: '', name: '', password: '', token: '' }
  const gateway = await startGateway({
    config: options.change?.(config) ?? config,
    data,
    log: { info: line('info'), warn: line('warn'), error: line('error') },
    now,
    ...(options.source && { source: options.source }),
    ...(options.limits && { limits: options.limits }),
    ...(options.lookup && { lookup: options.lookup }),
  }).catch(async (error) => {
    accounts.close()
    await demo.close()
    rmSync(dir, { recursive: true, force: true })
    throw error
  })
  const shared = {
    https: gateway.ports.https,
    mpd: gateway.ports.mpd ?? 0,
    plain: gateway.ports.plainMpd ?? 0,
    ca: readFileSync(join(certs, 'ca.crt'), 'utf8'),
    data,
    certs,
    demo,
    accounts,
    log,
    secrets,
    address: nextAddress,
    person,
    tokenOf,
    keep,
    now,
    jump(milliseconds: number) {
      offset += milliseconds
    },
    createSetup: () => gateway.createSetup(),
    async close() {
      await gateway.close()
      await demo.close()
      accounts.close()
      rmSync(dir, { recursive: true, force: true })
    },
  }
  const of = (row: number): House => ({
    ...shared,
    ...(crowd[row] ?? { owner: nobody, member: nobody, guest: nobody, kid: nobody }),
    from: nextAddress(),
  })
  const house = of(0)
  if (options.people !== 0 && options.http === undefined) {
    await until(async () => (await ask(house, '/readyz')).status === 200)
  }
  return { ...house, of, secrets, beside: options.beside ?? [] }
}

/** All of 127.0.0.0/8 is this machine, so there is an address for everybody. */
function nextAddress(): string {
  addresses++
  return `127.1.${addresses >> 8}.${addresses & 255}`
}

/** Somebody who does no harm, on every door, from before the attack to after it. */
interface Bystander {
  check(): Promise<void>
  close(): void
}

async function openBystander(house: House): Promise<Bystander> {
  const [ws, mpd]: [WsClient, MpdClient] = await Promise.all([
    openWs(house, { token: house.member.token }),
    openMpd(house, { token: house.member.token }),
  ])
  return {
    async check() {
      const message = { jsonrpc: '2.0', id: 1, method: 'core.playback.get_state' }
      const over = await ask(house, '/mopidy/rpc', { token: house.member.token, json: message })
      expect(over.json, 'the bystander over HTTP').toHaveProperty('result')
      expect(await ws.rpc(message), 'the bystander over WebSocket').toHaveProperty('result')
      expect(await mpd.ask('status\n'), 'the bystander over MPD').toMatch(/^volume: [\s\S]*\nOK\n$/)
    },
    close() {
      ws.close()
      mpd.close()
    },
  }
}

const prototypes = [Object, Array, String, Number, Boolean, Function, Map, Set, Promise, Error].map((c) => c.prototype)
const shapeOf = () => prototypes.map((prototype) => Reflect.ownKeys(prototype).map(String))
const innocent = shapeOf()

const loose: unknown[] = []
process.on('unhandledRejection', (reason) => loose.push(reason))

/** What the gateway and the bystanders say by themselves. */
const ordinary = [
  /^core\.playback\.get_state \{\}$/,
  /^(status|commands|notcommands|idle( "\w+")*|noidle)$/,
  /^GET \/mopidy\/ws$/,
  // Where the volume stands, to judge a change of it by.
  /^core\.mixer\.get_volume \{\}$/,
  // Whether a line is in step.
  /^sd_[0-9a-f]{16}$/,
]
/** The handshake of one WebSocket, in its own words and no others. */
const handshake = ['sec-websocket-version', 'sec-websocket-key', 'connection', 'upgrade', 'host']

/** Everything that came to the player, in words a row can name. */
export function heard({ demo }: House): string[] {
  const { http, websocket, mpd } = demo.received
  const calls = websocket.map((text) => {
    const { jsonrpc, id, method, params, ...more } = JSON.parse(text)
    expect([jsonrpc, typeof id, typeof params, more], 'a message in our own words').toEqual([
      '2.0',
      'number',
      'object',
      {},
    ])
    return `${method} ${JSON.stringify(params)}`
  })
  const requests = http.flatMap((text) => {
    const [first = '', ...lines] = text.split('\r\n')
    const names = lines.filter((one) => one !== '').map((one) => one.split(':')[0]?.toLowerCase())
    return [first.replace(/ HTTP\/1\.1$/, ''), ...names.filter((name) => !handshake.includes(name ?? ''))]
  })
  const lines = mpd.flatMap((text) => text.split('\n').filter((one) => one !== ''))
  return [...requests, ...calls, ...lines].map(String)
}

/** Ends the row's look at the player: what came so far is nobody's concern any more. */
function forget({ demo: { received } }: House, beside: readonly Neighbour[]): void {
  for (const list of Object.values(received)) list.length = 0
  for (const each of beside) each.forget()
}

function checkPlayers(house: House, beside: readonly Neighbour[], reaches: readonly RegExp[]): void {
  const strange = heard(house).filter((one) => ![...ordinary, ...reaches].some((known) => known.test(one)))
  const other = beside.flatMap((each) => each.heard()).filter((one) => !reaches.some((known) => known.test(one)))
  expect([...strange, ...other], 'nothing else reached a player').toEqual([])
  for (const each of beside) each.check?.()
}

/** No secret in the log, nor at the player; a log record is one of plain data. */
function checkSecrets(house: House, secrets: ReadonlySet<string>, beside: readonly Neighbour[]): void {
  const logged = house.log
    .map((record) => inspect(record, { depth: 20, maxStringLength: null, breakLength: Infinity }))
    .join('\n')
  const sent = [...Object.values(house.demo.received).flat(), ...beside.map((each) => each.sent())].join('\n')
  for (const secret of secrets) {
    expect(logged.includes(secret), `${secret.slice(0, 8)}… in the log`).toBe(false)
    expect(sent.includes(secret), `${secret.slice(0, 8)}… at the player`).toBe(false)
  }
}

/**
 * One test for each row, against one gateway. After every row: nothing forbidden reached the player, a bystander on
 * each door still gets answers, no promise was lost, no prototype grew, and no secret is in the log.
 */
export function attack(
  section: string,
  rows: readonly Row[],
  open: (options: HouseOptions) => Promise<OpenHouse> = openHouse,
): void {
  describe(section, () => {
    let house: OpenHouse
    let bystander: Bystander
    beforeAll(async () => {
      house = await open({ people: rows.length + 1 })
      bystander = await openBystander(house)
    }, 60_000)
    afterAll(async () => {
      bystander?.close()
      await house?.close()
    }, 60_000)

    test.for(rows.map((row, i) => ({ ...row, i })))('$id · $attack', { timeout: 40_000 }, async ({ i, ...row }) => {
      forget(house, house.beside)
      for (const key of Object.keys(house.demo.faults)) delete house.demo.faults[key as keyof typeof house.demo.faults]
      const mine = house.of(i + 1)
      await row.run(mine)
      for (const key of Object.keys(house.demo.faults)) delete house.demo.faults[key as keyof typeof house.demo.faults]
      if (row.disturbs) {
        bystander.close()
        await until(async () => (await ask(house, '/readyz')).status === 200)
        bystander = await openBystander(house)
        await until(() => bystander.check().then(() => true))
      } else await bystander.check()
      checkPlayers(mine, house.beside, row.reaches ?? [])
      checkSecrets(mine, house.secrets, house.beside)
      expect(loose, 'promises that nobody caught').toEqual([])
      expect(shapeOf(), 'the prototypes').toEqual(innocent)
    })
  })
}
