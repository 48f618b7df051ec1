import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Call } from './call/call.ts'
import { messageOf } from './call/fault.ts'
import { createForce } from './config/force.ts'
import type { Config, MpdDoorConfig } from './config/schema.ts'
import { answerOf, createWatch, type Outcome, type Source } from './config/watch.ts'
import { createGate } from './gate/gate.ts'
import { createLimiter } from './gate/limiter.ts'
import { createQuotas } from './gate/quota.ts'
import { overhear } from './govern/house.ts'
import { createLedgers } from './govern/ledgers.ts'
import { startRounds } from './govern/rounds.ts'
import { createIdentity } from './identity/identity.ts'
import { machineNames } from './listen/certificate.ts'
import { openControl } from './listen/control.ts'
import { createHosts } from './listen/hosts.ts'
import { createHttp, type HttpLimits } from './listen/http.ts'
import { createInquiry } from './listen/inquiry.ts'
import { createMetrics, openMetrics } from './listen/metrics.ts'
import { createMpdDoor, type Entrance, type MpdDoorLimits } from './listen/mpd/door.ts'
import { playersRoutes, shown } from './listen/players.ts'
import { restRoutes } from './listen/rest.ts'
import { eventsRooms } from './listen/room.ts'
import { createAnswer } from './listen/rpc.ts'
import { createTls } from './listen/tls.ts'
import { trustRoutes } from './listen/trust.ts'
import { webCommandRoutes } from './listen/web/commands.ts'
import { webFileRoutes } from './listen/web/files.ts'
import { createForwarded } from './listen/web/forwarded.ts'
import { irisRooms } from './listen/web/iris.ts'
import { attachWebsocket, type WebsocketLimits } from './listen/websocket.ts'
import { zeroconfRoutes } from './listen/zeroconf.ts'
import { createNotify } from './notify/notify.ts'
import { closing as endOf } from './policy/closing.ts'
import { isTracked, roomFor } from './policy/matter.ts'
import { overridden } from './policy/override.ts'
import { resolve } from './protocol/resolve.ts'
import { openAccounts } from './store/accounts.ts'
import { openAudit } from './store/audit.ts'
import { openQuotas } from './store/quota.ts'
import { createTroubles } from './store/trouble.ts'
import { createLookUps } from './upstream/lookups.ts'
import { createNames, type NamesOptions } from './upstream/names.ts'
import { createOnevent } from './upstream/onevent.ts'
import { having, type OpenPlayer, openPlayer, restPlayers } from './upstream/players.ts'

/** What the gateway says of itself; pino's shape. */
export interface Log {
  info(about: object, text: string): void
  warn(about: object, text: string): void
  error(about: object, text: string): void
  /** A shorter way to `info(record, 'decision')`. */
  decision?(record: object): void
  /** What is worth a line; set where the configuration says so anew. */
  level?: string
}

export interface Gateway {
  /** The ports it listens on; none for a door that is shut. */
  readonly ports: {
    readonly https: number
    readonly mpd: number | undefined
    readonly plainMpd: number | undefined
    readonly metrics: number | undefined
  }
  /** SHA-256 of the certificate that people compare. */
  readonly fingerprint: string
  /** A token for the first-run link; undefined once there is an account. */
  createSetup(): string | undefined
  /** Reads the configuration anew, where it has a source. */
  reload(): Promise<Outcome | undefined>
  close(): Promise<void>
}

/**
 * Puts the house together: what stands here is who knows whom, and nothing else.
 *
 * @param deps.data the state's directory, made when it is not there
 * @param deps.source where a newer configuration would be; without it the one given is for good
 * @throws Fault or Error naming what is in the way (a port, a file) and how to go on
 */
export async function startGateway(deps: {
  readonly config: Config
  readonly source?: Source
  readonly data: string
  readonly log: Log
  /** Caps and deadlines of the doors, for tests and benchmarks. */
  readonly limits?: {
    readonly http?: Partial<HttpLimits>
    readonly websocket?: Partial<WebsocketLimits>
    readonly mpd?: Partial<MpdDoorLimits>
  }
  /** How names of hosts are looked up; as the system does when left out. */
  readonly lookup?: NamesOptions['lookup']
  now(): number
}): Promise<Gateway> {
  const { config, source, data, log, now, limits = {} } = deps
  const closers: (() => unknown)[] = []
  const closing = <T extends { close(): unknown }>(part: T): T => {
    closers.unshift(() => part.close())
    return part
  }
  const close = async () => {
    for (const end of closers.splice(0)) await end()
  }

  try {
    const force = createForce(config, ({ log: { level } }) => {
      if (log.level !== undefined) log.level = level
    })
    const troubles = createTroubles(log)
    const accounts = closing(openAccounts({ dir: data, now, onProblem: troubles.accounts }))
    const audit = closing(
      openAudit({
        dir: data,
        now,
        get days() {
          return force.config.audit.days
        },
        get megabytes() {
          return force.config.audit.megabytes
        },
        tee: (record) => (log.decision ? log.decision(record) : log.info(record, 'decision')),
        onProblem: troubles.audit,
      }),
    )
    const { identity, sessions } = createIdentity({ accounts, now, onEvent: (event) => audit.writeSignIn(event) })
    // What cannot be read lifts nothing.
    const lifted = overridden(
      () => force.policy,
      () => (accounts.ready ? accounts.overrides() : []),
    )
    const notify = closing(createNotify({ targets: () => force.config.notify, now, log }))
    const quotas = createQuotas(closing(openQuotas({ dir: data, now, onProblem: troubles.quotas })))
    const players = new Map<string, OpenPlayer>()
    const shows = config.listen.metrics
    const metrics = shows ? createMetrics({ players, version: versionOf(), at: now() }) : undefined
    const judge = createGate({
      policy: lifted,
      limiter: createLimiter(),
      quotas,
      audit,
      alarm: notify.tell,
      ...(metrics && { onDecision: metrics.decided }),
    })
    const gate = overhear(judge, {
      hear: (call) => rounds.hear(call),
      mattersOf: (call) => rounds.mattersOf(call),
    })
    const watch =
      source &&
      closing(
        createWatch({
          source,
          apply: force.apply,
          log,
          onOutcome: (result) => metrics?.reloaded(result, now()),
        }),
      )

    const names = () => machineNames(config.listen.https.names)
    const tls = closing(
      await createTls({ source: config.tls, names, now, onProblem: (reason) => log.error({ reason }, 'certificate') }),
    )

    const onevent = closing(createOnevent({ path: join(data, 'onevent.sock'), now, log }))
    for (const [name, place] of config.players) {
      players.set(name, closing(openPlayer(name, place, { log, now, onevent })))
    }
    if (having(players, 'onevent').size > 0) await onevent.listen()
    const rounds = closing(
      startRounds(players, {
        gate,
        newId: randomUUID,
        now,
        log,
        onContest: notify.tellContest,
        ceilingOf: force.ceilingOf,
        closing(by, player, since, at) {
          // As they are now; who is gone stays what they were.
          const { roles } = (accounts.ready && accounts.byId(by.id)) || by
          return endOf(lifted(), { ...by, roles }, player, since, at)
        },
      }),
    )
    const queues = map(having(players, 'queue'), ({ queue }) => queue)
    const room = (call: Call) => roomFor(lifted(), call)
    const ledgers = closing(createLedgers(queues, { gate, room, newId: randomUUID, now, log }))
    const hostNames = createNames({ ...(deps.lookup && { lookup: deps.lookup }) })
    const inquiry = createInquiry({
      gate,
      resolve,
      lookUps: createLookUps({ players, ledgers, names: hostNames }),
      keeper: { isTracked: (call) => isTracked(lifted(), call), ledgerOf: ledgers.of },
    })
    const web = map(having(players, 'web'), ({ web }) => web)
    const defaultPlayer = [...config.players.keys()][0] as string
    const answers = map(having(players, 'rpc'), ({ rpc }, name) => {
      const onInternal = (fault: Error, request: string) => log.error({ err: fault.cause, request }, 'internal error')
      return { rpc, answer: createAnswer({ gate, player: name, rpc, inquiry, now, onInternal }) }
    })

    const hosts = createHosts(names())
    const http = closing(
      await createHttp({
        tls: tls.httpsOptions(),
        hosts,
        gate,
        identity,
        sessions,
        players: map(players, (player, name) => served(player, answers.get(name)?.answer)),
        defaultPlayer,
        log,
        now,
        ready: () => accounts.ready,
        isPairing: (player) => players.get(player)?.zeroconf !== undefined && accounts.pairing(player) !== undefined,
        config: () => watch?.state ?? 'current',
        ...(limits.http && { limits: limits.http }),
      }),
    )
    trustRoutes(http, tls)
    const shared = { gate, identity, hosts, inquiry, now }
    restRoutes(http, { ...shared, players: restPlayers(players), defaultPlayer })
    zeroconfRoutes(http, {
      ...shared,
      players: map(having(players, 'zeroconf'), ({ zeroconf }) => zeroconf),
      pairing: { isOpen: (player) => accounts.pairing(player) !== undefined, take: accounts.takePairing },
    })
    playersRoutes(http, { ...shared, players: map(players, (player, name) => shown(player, name, defaultPlayer)) })
    // Made of what lasts as long as the accounts do.
    const forwarded = createForwarded(JSON.stringify(accounts.keys().at(-1)?.jwk))
    const pages = { ...shared, players: web, defaultPlayer, forwarded }
    await webFileRoutes(http, pages)
    webCommandRoutes(http, pages)
    closing(
      attachWebsocket(http.server, {
        ...shared,
        players: answers,
        others: players.keys(),
        rooms: [...eventsRooms(players, shared), ...irisRooms(web, pages)],
        defaultPlayer,
        newId: randomUUID,
        ...(limits.websocket && { limits: limits.websocket }),
      }),
    )
    await http.ready()
    tls.apply(http.server)
    const https = await listen(http.server, config.listen.https)

    const { mpd, plainMpd } = config.listen
    const speakers = map(having(players, 'mpd'), ({ mpd }) => mpd)
    const door = closing(
      createMpdDoor({
        gate,
        identity,
        inquiry,
        players: speakers,
        now,
        log,
        ...(limits.mpd && { limits: limits.mpd }),
      }),
    )
    const ports = {
      https,
      mpd: mpd ? await door.listen({ ...entrance(mpd, () => force.config.listen.mpd, limits.mpd), tls }) : undefined,
      plainMpd: plainMpd
        ? await door.listen({
            ...entrance(plainMpd, () => force.config.listen.plainMpd, limits.mpd),
            plain: plainMpd,
          })
        : undefined,
      metrics: undefined as number | undefined,
    }
    if (metrics && shows) {
      const opened = await openMetrics({ ...shows, metrics, names: names(), log })
      ports.metrics = closing(opened).port
    }
    if (watch && source) {
      const reload = async () => answerOf(source, await watch.reload())
      const opened = openControl({ path: join(data, 'control.sock'), words: new Map([['reload', reload]]) })
      await opened.then(
        (control) => closing(control),
        (error) => log.warn({ reason: messageOf(error) }, '`stagedoor reload` does not reach this gateway'),
      )
    }

    return {
      ports,
      fingerprint: tls.fingerprint(),
      createSetup: () => (accounts.list().length === 0 ? sessions.createSetup() : undefined),
      reload: async () => watch?.reload(),
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

function map<A, B>(from: ReadonlyMap<string, A>, make: (value: A, name: string) => B): Map<string, B> {
  return new Map([...from].map(([name, value]) => [name, make(value, name)]))
}

/** A door as the configuration has it, with the bounds of the one in force; what `limits` say of it goes before. */
function entrance(
  { host, port }: MpdDoorConfig,
  inForce: () => MpdDoorConfig | false,
  limits: Partial<MpdDoorLimits> = {},
): Entrance {
  return {
    host,
    port,
    bounds() {
      const { timeout, connections, connectionsEach } = inForce() || {}
      return {
        ...(limits.silenceMs === undefined && timeout !== undefined && { timeout }),
        ...(limits.connections === undefined && connections !== undefined && { connections }),
        ...(limits.connectionsEach === undefined && connectionsEach !== undefined && { connectionsEach }),
      }
    },
  }
}

/** This one's own, in a clone and in a package alike. */
function versionOf(): string {
  return JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version
}

/** A player as the HTTP door sees it. */
function served(player: OpenPlayer, answer: ReturnType<typeof createAnswer> | undefined) {
  return {
    ...(answer && { answer }),
    get up() {
      return player.up
    },
  }
}

async function listen(server: Server, where: { host: string; port: number }): Promise<number> {
  server.listen({ host: where.host, port: where.port, ipv6Only: false })
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}
