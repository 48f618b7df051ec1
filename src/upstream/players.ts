import { goHand, type Hand, javaHand, mopidyHand, mpdHand } from './hand.ts'
import { type Informant, librespotInformant, mopidyInformant, mpdInformant } from './informant.ts'
import { createGoLibrespot, createLibrespotJava } from './librespot.ts'
import { createMopidy } from './mopidy.ts'
import { createMpd } from './mpd.ts'
import type { OneventPlayer, OneventServer } from './onevent.ts'
import { createPainter } from './picture.ts'
import type { MpdPlayer, PicturePlayer, PlayerLog, RestPlayer, RpcPlayer } from './player.ts'
import { mopidyQueue, mpdQueue, type QueueEye } from './queue.ts'
import { mopidySitter, mpdSitter } from './sitter.ts'
import { openWebsite, type WebPlace, type Website } from './website.ts'
import { createZeroconf, type ZeroconfPlayer } from './zeroconf.ts'

/** Where a player is, by its kind. */
export type PlayerPlace =
  | {
      readonly kind: 'mopidy'
      readonly http: string
      readonly mpd?: string | undefined
      readonly web?: readonly WebPlace[] | undefined
    }
  | { readonly kind: 'mpd'; readonly mpd: string }
  | { readonly kind: 'go-librespot' | 'librespot-java'; readonly url: string }
  | { readonly kind: 'librespot'; readonly zeroconf?: string | undefined; readonly onevent?: boolean | undefined }

export interface PlayerDeps {
  readonly log: PlayerLog
  /** Unix ms. */
  now(): number
  /** Where players are heard that cannot be asked. */
  readonly onevent: Pick<OneventServer, 'open'>
}

/** One player by all the ways it is reached. */
export interface OpenPlayer {
  readonly kind: PlayerPlace['kind']
  readonly rpc: RpcPlayer | undefined
  readonly mpd: MpdPlayer | undefined
  readonly rest: RestPlayer | undefined
  readonly zeroconf: ZeroconfPlayer | undefined
  readonly onevent: OneventPlayer | undefined
  /** What it is doing; undefined for a kind that does not tell. */
  readonly picture: PicturePlayer | undefined
  /** What the gateway does there by itself; undefined for a kind that takes nothing. */
  readonly hand: Hand | undefined
  /** What may be asked of it before a call is judged; undefined for a kind that answers nothing. */
  readonly informant: Informant | undefined
  /** What stands in its queue; undefined for a kind that does not tell. */
  readonly queue: QueueEye | undefined
  /** What it serves to browsers; undefined for a player nobody may open there. */
  readonly web: Website | undefined
  /** Whether each of the ways it was configured with stands. */
  readonly up: boolean
  close(): Promise<void>
}

/** The players that can be reached in this way. */
export function having<W extends keyof Ways>(players: ReadonlyMap<string, OpenPlayer>, way: W) {
  type Having = OpenPlayer & { readonly [K in W]-?: NonNullable<OpenPlayer[W]> }
  const has = (entry: [string, OpenPlayer]): entry is [string, Having] => entry[1][way] !== undefined
  return new Map([...players].filter(has))
}

/** Those that answer as a player of the librespot family does. */
export function restPlayers(players: ReadonlyMap<string, OpenPlayer>) {
  return new Map(
    [...having(players, 'rest')].flatMap(([name, { kind, rest }]) =>
      kind === 'go-librespot' || kind === 'librespot-java' ? [[name, { kind, player: rest }]] : [],
    ),
  )
}

/** Opens a player. It need not be there yet. */
export function openPlayer(name: string, place: PlayerPlace, deps: PlayerDeps): OpenPlayer {
  switch (place.kind) {
    case 'mopidy':
      return openMopidy(place, deps)
    case 'mpd':
      return openMpd(place, deps)
    case 'go-librespot':
    case 'librespot-java': {
      const rest = (place.kind === 'go-librespot' ? createGoLibrespot : createLibrespotJava)({
        url: place.url,
        ...deps,
      })
      const hand = place.kind === 'go-librespot' ? goHand(rest) : javaHand(rest)
      return assemble(place.kind, { rest, picture: rest, hand, informant: librespotInformant(rest) }, [rest])
    }
    case 'librespot':
      return openLibrespot(name, place, deps)
  }
}

type Kind<K extends PlayerPlace['kind']> = Extract<PlayerPlace, { readonly kind: K }>

function openMopidy({ http, mpd: address, web: places }: Kind<'mopidy'>, { log, now }: PlayerDeps): OpenPlayer {
  const rpc = createMopidy({ url: http, log, now })
  const mpd = address === undefined ? undefined : createMpd({ ...hostAndPort(address), log })
  const picture = createPainter(mopidySitter(rpc, now), now)
  const own = { hand: mopidyHand(rpc), informant: mopidyInformant(rpc, mpd), queue: mopidyQueue(rpc, mpd) }
  const web = places && openWebsite(http, places)
  return assemble('mopidy', { rpc, mpd, picture, web, ...own }, [picture, rpc, mpd, web])
}

function openMpd({ mpd: address }: Kind<'mpd'>, { log, now }: PlayerDeps): OpenPlayer {
  const mpd = createMpd({ ...hostAndPort(address), log })
  const picture = createPainter(mpdSitter(mpd, now), now)
  const [hand, queue] = [mpdHand(mpd), mpdQueue(mpd)]
  return assemble('mpd', { mpd, picture, hand, queue, informant: mpdInformant(mpd) }, [picture, hand, queue, mpd])
}

function openLibrespot(name: string, place: Kind<'librespot'>, deps: PlayerDeps): OpenPlayer {
  const zeroconf = place.zeroconf === undefined ? undefined : createZeroconf({ url: place.zeroconf, log: deps.log })
  const onevent = place.onevent ? deps.onevent.open(name) : undefined
  return assemble('librespot', { zeroconf, onevent, picture: onevent }, [zeroconf, onevent])
}

type Ways = Omit<OpenPlayer, 'kind' | 'up' | 'close'>

function assemble(
  kind: PlayerPlace['kind'],
  ways: { readonly [W in keyof Ways]?: Ways[W] },
  parts: readonly ({ close(): unknown } | undefined)[],
): OpenPlayer {
  const { rpc, mpd, rest, zeroconf, onevent, picture, hand, informant, queue, web } = ways
  return {
    kind,
    rpc,
    mpd,
    rest,
    zeroconf,
    onevent,
    picture,
    hand,
    informant,
    queue,
    web,
    get up() {
      return [rpc, mpd, rest, zeroconf, onevent].every((way) => way?.up ?? true)
    },
    async close() {
      await Promise.all(parts.map((part) => part?.close()))
    },
  }
}

/** @param address host and port, such as `127.0.0.1:6600` or `[::1]:6600` */
function hostAndPort(address: string): { host: string; port: number } {
  const { hostname, port } = new URL(`tcp://${address}`)
  return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) }
}
