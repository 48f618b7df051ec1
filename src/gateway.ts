import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { PlayerConfig } from './config/player.ts'
import type { Config, MpdDoorConfig } from './config/schema.ts'
import { createGate } from './gate/gate.ts'
import { createLimiter } from './gate/limiter.ts'
import { createIdentity } from './identity/identity.ts'
import { machineNames } from './listen/certificate.ts'
import { createHosts } from './listen/hosts.ts'
import { createHttp, type HttpLimits } from './listen/http.ts'
import { createMpdDoor, type MpdDoorLimits } from './listen/mpd/door.ts'
import { createAnswer } from './listen/rpc.ts'
import { createTls } from './listen/tls.ts'
import { trustRoutes } from './listen/trust.ts'
import { attachWebsocket, type WebsocketLimits } from './listen/websocket.ts'
import { compile } from './policy/policy.ts'
import { openAccounts } from './store/accounts.ts'
import { openAudit } from './store/audit.ts'
import { createMopidy } from './upstream/mopidy.ts'
import { createMpd } from './upstream/mpd.ts'
import type { MpdPlayer, RpcPlayer } from './upstream/player.ts'

/** What the gateway says of itself; pino's shape. */
export interface Log {
  info(about: object, text: string): void
  warn(about: object, text: string): void
  error(about: object, text: string): void
  /** A shorter way to `info(record, 'decision')`. */
  decision?(record: object): void
}

export interface Gateway {
  /** The ports it listens on; none for a door that is shut. */
  readonly ports: {
    readonly https: number
    readonly mpd: number | undefined
    readonly plainMpd: number | undefined
  }
  /** SHA-256 of the certificate that people compare. */
  readonly fingerprint: string
  /** A token for the first-run link; undefined once there is an account. */
  createSetup(): string | undefined
  close(): Promise<void>
}

/** One player by the transports it is reached with. */
interface Transports {
  readonly rpc: RpcPlayer | undefined
  readonly mpd: MpdPlayer | undefined
}

/**
 * Puts the house together: what stands here is who knows whom, and nothing else.
 *
 * @param deps.data the state's directory, made when it is not there
 * @throws Fault or Error naming what is in the way (a port, a file) and how to go on
 */
export async function startGateway(deps: {
  readonly config: Config
  readonly data: string
  readonly log: Log
  /** Caps and deadlines of the doors, for tests and benchmarks. */
  readonly limits?: {
    readonly http?: Partial<HttpLimits>
    readonly websocket?: Partial<WebsocketLimits>
    readonly mpd?: Partial<MpdDoorLimits>
  }
  now(): number
}): Promise<Gateway> {
  const { config, data, log, now, limits = {} } = deps
  const closers: (() => unknown)[] = []
  const closing = <T>(part: T, close: (part: T) => unknown): T => {
    closers.unshift(() => close(part))
    return part
  }
  const close = async () => {
    for (const end of closers.splice(0)) await end()
  }

  try {
    const accounts = closing(
      openAccounts({
        dir: data,
        now,
        onProblem: (fault) =>
          fault ? log.error({ reason: fault.message }, 'accounts unreadable') : log.info({}, 'accounts readable again'),
      }),
      (part) => part.close(),
    )
    const audit = closing(
      openAudit({
        dir: data,
        now,
        ...config.audit,
        tee: (record) => (log.decision ? log.decision(record) : log.info(record, 'decision')),
        onProblem: (problem) =>
          problem
            ? log.error({ reason: problem.fault?.message, lost: problem.dropped }, 'audit records are being lost')
            : log.info({}, 'audit is written again'),
      }),
      (part) => part.close(),
    )
    const { identity, sessions } = createIdentity({ accounts, now, onEvent: (event) => audit.writeSignIn(event) })
    const policy = compile(config.roles)
    const gate = createGate({ policy: () => policy, limiter: createLimiter(), audit })

    const names = () => machineNames(config.listen.https.names)
    const tls = closing(
      await createTls({ source: config.tls, names, now, onProblem: (reason) => log.error({ reason }, 'certificate') }),
      (part) => part.close(),
    )

    const players = new Map<string, Transports>()
    for (const [name, player] of config.players) {
      players.set(
        name,
        closing(connect(player, { log, now }), ({ rpc, mpd }) => Promise.all([rpc?.close(), mpd?.close()])),
      )
    }
    const defaultPlayer = [...config.players.keys()][0] as string
    const answers = new Map(
      [...players].flatMap(([name, { rpc }]) => {
        const onInternal = (fault: Error, request: string) => log.error({ err: fault.cause, request }, 'internal error')
        return rpc ? [[name, { rpc, answer: createAnswer({ gate, player: name, rpc, now, onInternal }) }] as const] : []
      }),
    )

    const hosts = createHosts(names())
    const http = closing(
      await createHttp({
        tls: tls.httpsOptions(),
        hosts,
        gate,
        identity,
        sessions,
        players: new Map(
          [...players].map(([name, transports]) => [name, served(transports, answers.get(name)?.answer)]),
        ),
        defaultPlayer,
        log,
        ready: () => accounts.ready,
        ...(limits.http && { limits: limits.http }),
      }),
      (part) => part.close(),
    )
    trustRoutes(http, tls)
    closing(
      attachWebsocket(http.server, {
        gate,
        identity,
        players: answers,
        defaultPlayer,
        hosts,
        now,
        newId: randomUUID,
        ...(limits.websocket && { limits: limits.websocket }),
      }),
      (part) => part.close(),
    )
    await http.ready()
    tls.apply(http.server)
    const https = await listen(http.server, config.listen.https)

    const { mpd, plainMpd } = config.listen
    const speakers = new Map([...players].flatMap(([name, { mpd }]) => (mpd ? [[name, mpd] as const] : [])))
    const door = closing(
      createMpdDoor({ gate, identity, players: speakers, now, log, ...(limits.mpd && { limits: limits.mpd }) }),
      (part) => part.close(),
    )
    const ports = {
      https,
      mpd: mpd ? await door.listen({ ...entrance(mpd, limits.mpd), tls }) : undefined,
      plainMpd: plainMpd ? await door.listen({ ...entrance(plainMpd, limits.mpd), plain: plainMpd }) : undefined,
    }

    return {
      ports,
      fingerprint: tls.fingerprint(),
      createSetup: () => (accounts.list().length === 0 ? sessions.createSetup() : undefined),
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** The MPD side keeps to a clock of its own that is never set: time of day jumps on machines that start without it. */
function connect(player: PlayerConfig, deps: { log: Log; now(): number }): Transports {
  const mpd = 'mpd' in player ? player.mpd : undefined
  const speaksMpd = mpd === undefined ? undefined : new URL(`tcp://${mpd}`)
  return {
    rpc: player.kind === 'mopidy' ? createMopidy({ url: player.http, ...deps }) : undefined,
    mpd:
      speaksMpd &&
      createMpd({ host: speaksMpd.hostname.replace(/^\[|\]$/g, ''), port: Number(speaksMpd.port), log: deps.log }),
  }
}

/** A door as the configuration has it; what `limits` say of it goes before. */
function entrance({ host, port, ...own }: MpdDoorConfig, limits: Partial<MpdDoorLimits> = {}) {
  const { timeout, connections, connectionsEach } = own
  return {
    host,
    port,
    ...(limits.silenceMs === undefined && { timeout }),
    ...(limits.connections === undefined && { connections }),
    ...(limits.connectionsEach === undefined && { connectionsEach }),
  }
}

/** A player as the HTTP door sees it: up when everything it was configured with is. */
function served({ rpc, mpd }: Transports, answer: ReturnType<typeof createAnswer> | undefined) {
  return {
    ...(answer && { answer }),
    get up() {
      return (rpc?.up ?? true) && (mpd?.up ?? true)
    },
  }
}

async function listen(server: Server, where: { host: string; port: number }): Promise<number> {
  server.listen({ host: where.host, port: where.port, ipv6Only: false })
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}
