import { type Duplex, duplexPair } from 'node:stream'
import { expect } from 'vitest'
import type { User } from '../../../src/call/call.ts'
import { Fault } from '../../../src/call/fault.ts'
import type { AuditRecord } from '../../../src/gate/audit.ts'
import { createGate } from '../../../src/gate/gate.ts'
import { createLimiter } from '../../../src/gate/limiter.ts'
import type { Credential } from '../../../src/identity/identity.ts'
import { createMpdDoor, type MpdDoorLimits } from '../../../src/listen/mpd/door.ts'
import { compile, type RolesConfig } from '../../../src/policy/policy.ts'
import { encode } from '../../../src/protocol/mpd/decode.ts'
import type { MpdConnection, MpdPerson, MpdPlayer, Settings } from '../../../src/upstream/player.ts'

export const roles: RolesConfig = {
  owner: { grants: [{ allow: ['*'] }] },
  kid: {
    grants: [
      { allow: ['status.read', 'queue.read', 'playback.control'] },
      { allow: ['volume.set'], when: { maxVolume: 40 } },
      { allow: ['queue.add'], when: { uriSchemes: ['local'] } },
    ],
    rates: { 'queue.add': '3/1h' },
  },
  guest: { grants: [{ allow: ['library.read'], on: ['home'] }] },
  bath: { grants: [{ allow: ['*'], on: ['bath'] }] },
}

/** One client's side of the fake player. */
export interface Side {
  readonly person: MpdPerson
  /** What it was opened with, as commands. */
  readonly replayed: readonly string[]
  readonly closed: boolean
}

/** A player in memory under the test's thumb: it keeps what it was sent and answers what it is told to. */
export interface FakePlayer extends MpdPlayer {
  up: boolean
  version: string | undefined
  offers: ReadonlySet<string> | undefined
  /** Every line of all clients, in the order they came. */
  readonly lines: string[]
  readonly sides: readonly Side[]
  /** The answer to a command, or to a list as one text; a Fault to fail, undefined to stay silent until it is closed. */
  answer: (text: string) => Answer | AsyncIterable<Answer>
  /** Tells every side at once that these have changed. */
  change(...subsystems: string[]): void
}
type Answer = string | Uint8Array | Fault | undefined

export const status = 'volume: 50\nstate: stop\nOK\n'
const offers = ['status', 'idle', 'add', 'setvol', 'tagtypes', 'clear', 'ping', 'close', 'commands', 'kill', 'config']

export function createFakePlayer(): FakePlayer {
  const lines: string[] = []
  const sides: (Side & { readonly hear: (subsystem: string) => void })[] = []

  function open(person: MpdPerson, settings: Settings = []): MpdConnection {
    const own = [...settings]
    const listeners = new Set<(subsystem: string) => void>()
    const ended = Promise.withResolvers<never>()
    ended.promise.catch(() => {})
    let closed = false
    sides.push({
      person,
      replayed: settings.map(({ call }) => encode(call).trim()),
      get closed() {
        return closed
      },
      hear(subsystem) {
        for (const listener of listeners) listener(subsystem)
      },
    })
    return {
      settings: own,
      async send(permits, framing, out) {
        if (closed) throw new Fault('internal', 'closed')
        const commands = permits.map(({ call }) => encode(call).trim())
        const sent =
          framing === 'single'
            ? commands
            : [`command_list${framing === 'list' ? '' : '_ok'}_begin`, ...commands, 'command_list_end']
        lines.push(...sent)
        const given = fake.answer(sent.join(' '))
        const parts = typeof given === 'object' && Symbol.asyncIterator in given ? given : [given]
        for await (const part of parts) {
          if (part instanceof Fault) throw part
          if (part === undefined) await ended.promise
          const whole = part === 'OK\n' && framing === 'ok-list' ? `${'list_OK\n'.repeat(permits.length)}OK\n` : part
          if (whole === undefined) continue
          if (typeof whole === 'string' && whole.startsWith('ACK')) {
            await out(Buffer.from(whole))
            return 0
          }
          await Promise.race([out(Buffer.from(whole)), ended.promise])
        }
        own.push(...permits.filter(({ call }) => call.operation.state !== undefined))
        return Number.POSITIVE_INFINITY
      },
      onChange(listener) {
        listeners.add(listener)
        return () => void listeners.delete(listener)
      },
      close() {
        closed = true
        ended.reject(new Fault('player-unreachable', 'closed'))
      },
    }
  }

  const fake: FakePlayer = {
    up: true,
    version: '0.19.0',
    offers: new Set(offers),
    lines,
    sides,
    answer: (text) => (text === 'status' ? status : 'OK\n'),
    open,
    change(...subsystems) {
      for (const subsystem of subsystems) for (const { hear } of sides) hear(subsystem)
    },
    close: async () => {},
  }
  return fake
}

export interface Client {
  send(text: string | Uint8Array): void
  /** Waits for exactly this text to come next. */
  hears(text: string): Promise<void>
  /** Sends and waits for the answer. */
  asks(text: string, answer: string): Promise<void>
  /** What has come and was not waited for. */
  readonly rest: string
  readonly ended: boolean
  readonly stream: Duplex
  end(): Promise<void>
}

export function over(stream: Duplex): Client {
  let rest = ''
  let ended = false
  let wake = () => {}
  stream.on('data', (chunk: Uint8Array) => {
    rest += Buffer.from(chunk).toString('latin1')
    wake()
  })
  const finish = () => {
    ended = true
    wake()
  }
  stream.on('end', finish)
  stream.on('close', finish)
  stream.on('error', finish)
  const more = () =>
    new Promise<void>((resolve) => {
      wake = resolve
    })
  const client: Client = {
    stream,
    send: (text) => stream.write(text),
    async hears(text) {
      while (rest.length < text.length && !ended && text.startsWith(rest)) await more()
      expect(rest.slice(0, text.length)).toBe(text)
      rest = rest.slice(text.length)
    },
    async asks(text, answer) {
      client.send(text)
      await client.hears(answer)
    },
    get rest() {
      return rest
    },
    get ended() {
      return ended
    },
    async end() {
      while (!ended) await more()
    },
  }
  return client
}

export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2))
}

/** A house with players in memory. */
export function openFake(limits: Partial<MpdDoorLimits> = {}) {
  return openHouse({ home: createFakePlayer(), bath: createFakePlayer() }, limits)
}
export type FakeHouse = ReturnType<typeof openFake>

/**
 * The MPD door with two players, `home` and `bath`, and a policy that may be changed.
 *
 * The password `kid-1` signs in as the account `kid`, which has the role `kid`, by the session `kid-1`; `jwt-kid` is no
 * device token; the fingerprint of a certificate is found in `certificates`.
 */
export function openHouse<P extends MpdPlayer>(
  { home, bath }: { readonly home: P; readonly bath: P },
  limits: Partial<MpdDoorLimits> = {},
) {
  const players = new Map<string, MpdPlayer>([
    ['home', home],
    ['bath', bath],
  ])
  let policy = compile(roles)
  const records: AuditRecord[] = []
  const logged: { readonly about: Record<string, unknown>; readonly text: string }[] = []
  const shown: Credential[] = []
  /** Sessions that have ended. */
  const gone = new Set<string>()
  const listeners = new Set<() => void>()
  const opened: Duplex[] = []
  /** Passwords by the certificate that is as good. */
  const certificates = new Map<string, string>()
  /** The roles of an account that are other than its name. */
  const rolesOf = new Map<string, readonly string[]>()
  let lastHost = 0

  function userOf(session: string, from: string): User {
    const [id = ''] = session.split('-')
    const own = rolesOf.get(id) ?? [id]
    return { kind: 'user', id, name: id, roles: own, session, until: Number.MAX_SAFE_INTEGER, from }
  }

  async function identify(credential: Credential, from: string): Promise<User> {
    shown.push(credential)
    const isBearer = credential.kind === 'mpd' && credential.password.startsWith('jwt-')
    if (isBearer && credential.plain) throw new Fault('bad-credentials', 'only a device token')
    const password =
      credential.kind === 'mpd'
        ? credential.password.replace('jwt-', '')
        : credential.kind === 'certificate'
          ? (certificates.get(credential.fingerprint) ?? '')
          : ''
    if (password === 'slow') await new Promise((resolve) => setTimeout(resolve, 30))
    if (password === 'flood') throw new Fault('limited', 'too many failed sign-ins: try again later')
    const [id = ''] = password.split('-')
    if (!Object.hasOwn(roles, id) || gone.has(password)) throw new Fault('bad-credentials', 'wrong')
    return userOf(password, from)
  }

  const gate = createGate({
    policy: () => policy,
    limiter: createLimiter(),
    audit: { write: (record) => records.push(record) },
  })
  const door = createMpdDoor({
    gate,
    players,
    identity: {
      identify,
      renew: ({ session, from }) => (gone.has(session) ? undefined : userOf(session, from)),
      onChange(listener) {
        listeners.add(listener)
        return () => listeners.delete(listener)
      },
    },
    now: Date.now,
    log: { warn: (about, text) => logged.push({ about: { ...about }, text }) },
    limits: { checkMs: 20, ...limits },
  })

  const house = {
    home,
    bath,
    door,
    records,
    logged,
    shown,
    gone,
    certificates,
    rolesOf,
    opened,
    set roles(changed: RolesConfig) {
      policy = compile(changed)
    },
    /** The store has changed: every connection is looked at now. */
    change() {
      for (const listener of listeners) listener()
    },
    over(stream: Duplex): Client {
      opened.push(stream)
      return over(stream)
    },
    /** A client with the greeting behind it, signed in when a password is given. */
    async client(password?: string, from = `192.0.2.${++lastHost % 250}`): Promise<Client> {
      const [near, far] = duplexPair()
      door.handle(far, from)
      const made = house.over(near)
      await made.hears(`OK MPD ${home.version}\n`)
      if (password !== undefined) await made.asks(`password ${password}\n`, 'OK\n')
      return made
    },
    async close() {
      await door.close()
      for (const stream of opened.splice(0)) stream.destroy()
    },
  }
  return house
}

/** The words of a denial. */
export function permission(name: string, why: string): string {
  return `you don't have permission for "${name}": ${why}`
}
