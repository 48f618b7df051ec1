import { randomUUID } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import type { Call, User } from '../../src/call/call.ts'
import { capabilities } from '../../src/call/capability.ts'
import { Fault } from '../../src/call/fault.ts'
import type { AuditRecord } from '../../src/gate/audit.ts'
import { createGate } from '../../src/gate/gate.ts'
import { createLimiter } from '../../src/gate/limiter.ts'
import type { Credential } from '../../src/identity/identity.ts'
import { createHosts } from '../../src/listen/hosts.ts'
import { createHttp } from '../../src/listen/http.ts'
import { type PlayersLimits, playersRoutes, type ShownPlayer } from '../../src/listen/players.ts'
import { type RestServed, restRoutes } from '../../src/listen/rest.ts'
import { eventsRoom } from '../../src/listen/room.ts'
import { attachWebsocket, type WebsocketLimits } from '../../src/listen/websocket.ts'
import { zeroconfRoutes } from '../../src/listen/zeroconf.ts'
import { compile } from '../../src/policy/policy.ts'
import { createGoLibrespot, createLibrespotJava } from '../../src/upstream/librespot.ts'
import { createZeroconf } from '../../src/upstream/zeroconf.ts'
import { startFakeLibrespot } from '../upstream/fakelibrespot.ts'
import { createTestIdentity, tls } from './house.ts'

const names = Object.keys(capabilities) as (keyof typeof capabilities)[]

/** Roles that have one capability, and roles that lack one. */
const policy = compile({
  owner: { grants: [{ allow: ['*'] }] },
  kid: {
    grants: [
      { allow: ['status.read', 'playback.control', 'playback.skip'] },
      { allow: ['volume.set'], when: { maxVolume: 40 } },
      { allow: ['queue.add'], when: { uriSchemes: ['spotify'] } },
    ],
  },
  scaled: {
    grants: [{ allow: ['status.read'] }, { allow: ['volume.set'], when: { maxVolume: { max: 40, over: 'scale' } } }],
  },
  clamped: { grants: [{ allow: ['volume.set'], when: { maxVolume: { max: 40, over: 'clamp' } } }] },
  nobody: { grants: [] },
  attic: { grants: [{ allow: ['*'], on: ['attic'] }] },
  ...Object.fromEntries(names.map((name) => [`only ${name}`, { grants: [{ allow: [name] }] }])),
  ...Object.fromEntries(
    names.map((name) => [`no ${name}`, { grants: [{ allow: names.filter((other) => other !== name) }] }]),
  ),
})

/** Everybody is called after their role, or their roles with a `+` between; the token is that name, in hexadecimal. */
export function tokenOf(name: string): string {
  return Buffer.from(name).toString('hex')
}

function createPeople() {
  const gone = new Set<string>()
  const asked: string[] = []
  const listeners = new Set<() => void>()
  const find = (name: string): User => {
    asked.push(name)
    if (gone.has(name)) throw new Fault('bad-credentials', 'not valid')
    const roles = name.split('+')
    return { kind: 'user', id: `id-${name}`, name, roles, session: `s-${name}`, until: 2e15, from: '127.0.0.1' }
  }
  return {
    /** Everybody who was looked for. */
    asked,
    async identify(credential: Credential, from: string) {
      switch (credential.kind) {
        case 'none':
          return { kind: 'anonymous', from } as const
        case 'bearer':
        case 'basic':
          return find(Buffer.from(credential.token, 'hex').toString())
        case 'cookie':
          return find(Buffer.from(credential.value, 'hex').toString())
        default:
          throw new Fault('bad-credentials', 'not here')
      }
    },
    renew: (user: User) => (gone.has(user.name) ? undefined : find(user.name)),
    onChange(listener: () => void) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    revoke(name: string) {
      gone.add(name)
      for (const listener of listeners) listener()
    },
  }
}

/**
 * The doors over a go-librespot (`home`, which is at the root), a librespot-java (`attic`) and a zeroconf (`pi`), none of
 * which is asked anything by the gateway itself once it stands.
 */
export async function openLibrespotHouse(
  options: {
    readonly shown?: ReadonlyMap<string, ShownPlayer>
    readonly limits?: Partial<PlayersLimits>
    readonly websocket?: Partial<WebsocketLimits>
    readonly defaultPlayer?: string
    readonly now?: () => number
  } = {},
) {
  const { now = Date.now, defaultPlayer = 'home' } = options
  const [go, java, pi] = await Promise.all([
    startFakeLibrespot('go-librespot'),
    startFakeLibrespot('librespot-java'),
    startFakeLibrespot('zeroconf'),
  ])
  const limits = { refreshMs: 100_000_000 }
  const home = createGoLibrespot({ url: go.url, now, limits })
  const attic = createLibrespotJava({ url: java.url, now, limits })
  const zeroconf = createZeroconf({ url: pi.url, probeMs: 100_000_000 })
  const audit: AuditRecord[] = []
  const alarms: Call[] = []
  let inForce = policy
  const gate = createGate({
    policy: () => inForce,
    limiter: createLimiter(),
    audit: { write: (record) => audit.push(record) },
    alarm: (call) => alarms.push(call),
  })
  const people = createPeople()
  const hosts = createHosts(['music.home'])
  const windows = new Set<string>()
  const served = new Map<string, RestServed>([
    ['home', { kind: 'go-librespot', player: home }],
    ['attic', { kind: 'librespot-java', player: attic }],
  ])
  const app = await createHttp({
    tls: { ...tls, ALPNProtocols: ['http/1.1'], handshakeTimeout: 5_000 },
    hosts,
    gate,
    identity: people,
    sessions: createTestIdentity().sessions,
    players: new Map(),
    defaultPlayer,
    log: { error: (...line: unknown[]) => console.error(...line) },
    ready: () => true,
    isPairing: (player) => windows.has(player),
    now: () => 1e12,
    limits: { connectionsPerPeer: 512 },
  })
  const shared = { gate, identity: people, hosts, now }
  restRoutes(app, { ...shared, players: served, defaultPlayer })
  zeroconfRoutes(app, {
    ...shared,
    players: new Map([['pi', zeroconf]]),
    pairing: { isOpen: (player) => windows.has(player), take: (player) => windows.delete(player) },
  })
  const shown: ReadonlyMap<string, ShownPlayer> = new Map<string, ShownPlayer>([
    ['home', { kind: 'go-librespot', up: true, picture: home }],
    ['attic', { kind: 'librespot-java', up: true, picture: attic }],
    ['pi', { kind: 'librespot', up: false }],
    ...(options.shown ?? []),
  ])
  playersRoutes(app, { ...shared, players: shown, ...(options.limits && { limits: options.limits }) })
  const door = attachWebsocket(app.server, {
    ...shared,
    players: new Map(),
    rooms: [
      eventsRoom('home', { kind: 'go-librespot', player: home }, shared),
      eventsRoom('attic', { kind: 'librespot-java', player: attic }, shared),
    ],
    defaultPlayer,
    newId: randomUUID,
    limits: { closeMs: 200, ...options.websocket },
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  await Promise.all([
    go.until(() => home.picture !== undefined),
    java.until(() => attic.picture !== undefined),
    pi.until(() => zeroconf.up),
  ])
  return {
    port: (app.server.address() as AddressInfo).port,
    app,
    door,
    go,
    java,
    pi,
    home,
    attic,
    people,
    audit,
    alarms,
    /** Names of players whose pairing window is open. */
    windows,
    /** As a newer configuration does. */
    reload(next: typeof policy) {
      inForce = next
    },
    async close() {
      await door.close()
      await app.close()
      await Promise.all([home.close(), attic.close(), zeroconf.close()])
      await Promise.all([go.close(), java.close(), pi.close()])
    },
  }
}

export type LibrespotHouse = Awaited<ReturnType<typeof openLibrespotHouse>>
