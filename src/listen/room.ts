import { createCall, type User } from '../call/call.ts'
import type { Capability, Standing } from '../call/capability.ts'
import type { Operation } from '../call/catalog.ts'
import type { Scale } from '../call/scale.ts'
import type { Gate } from '../gate/gate.ts'
import { house } from '../protocol/house/catalog.ts'
import {
  type LibrespotEvent,
  eventCapability as librespotCapability,
  writeEvent,
} from '../protocol/librespot/events.ts'
import { goLibrespot } from '../protocol/librespot/go.ts'
import { librespotJava } from '../protocol/librespot/java.ts'
import { tellsVolume as librespotTellsVolume, showEvent as showLibrespot } from '../protocol/librespot/volume.ts'
import { eventCapability } from '../protocol/mopidy/events.ts'
import { showEvent, tellsVolume } from '../protocol/mopidy/volume.ts'
import type { RpcPlayer } from '../upstream/player.ts'
import { having, type OpenPlayer, restPlayers } from '../upstream/players.ts'
import type { Answer } from './rpc.ts'

/** What one player offers over WebSockets at one place. */
export interface Room {
  readonly player: string
  /** Below the player's prefix, without the slash in front, such as `mopidy/ws`. */
  readonly paths: readonly string[]
  /** Answers what clients send; without it they may send nothing. */
  readonly answer?: Answer
  /** Whether somebody may come in, beyond having anything to do with the player. @throws Fault */
  admit?(by: User, requestId: string): void
  /** Gives a client that came in a seat of its own, for where the player has to know one from another. @throws Fault */
  join?(visitor: Visitor): Seat
  /** Hears what clients are to be told, and what it takes to be told; returns the way to stop hearing. */
  listen(hear: Hear): () => void
}

/**
 * @param write the event for those to whom the player's volumes are as that has them
 * @param tellsVolume it is not the same for everybody
 */
export type Hear = (
  capability: Capability | Standing,
  write: (scale: Scale | undefined) => string,
  tellsVolume?: boolean,
) => void

/** A client at its seat. */
export interface Visitor {
  readonly by: User
  /** As the client named us, already found to be ours. */
  readonly host: string
  /** Tells it, if it may be told. */
  tell(capability: Capability, write: () => string): void
  /** The player has nothing more for it. */
  end(): void
}

export interface Seat {
  /** Answers in no order of its own: whoever asks here tells answers apart by what is in them. */
  readonly answer: Answer
  /** The client has gone. */
  leave(): void
}

/** Mopidy's own WebSocket: JSON-RPC both ways, and events. */
export function rpcRoom(player: string, { rpc, answer }: { readonly rpc: RpcPlayer; readonly answer: Answer }): Room {
  return {
    player,
    paths: ['mopidy/ws', 'mopidy/ws/'],
    answer,
    listen: (hear) =>
      rpc.onEvent((event) => {
        const capability = eventCapability.get(event.event)
        if (capability === undefined) return
        hear(capability, (scale) => JSON.stringify(showEvent(event, scale)), tellsVolume(event))
      }),
  }
}

/** A player that tells what it does, by its kind; `librespot` tells by `--onevent`. */
export interface EventSource {
  readonly kind: 'go-librespot' | 'librespot-java' | 'librespot'
  readonly player: { onEvent(listener: (event: LibrespotEvent) => void): () => void }
}

/** The rooms of all players of the librespot family that tell what they do. */
export function eventsRooms(players: ReadonlyMap<string, OpenPlayer>, deps: EventsDeps): Room[] {
  const told = [...having(players, 'onevent')].map(
    ([name, { onevent }]) => [name, { kind: 'librespot', player: onevent }] as const,
  )
  return [...restPlayers(players), ...told].map(([name, source]) => eventsRoom(name, source, deps))
}

export interface EventsDeps {
  readonly gate: Pick<Gate, 'admit'>
  now(): number
}

/** The events of one player of the librespot family. The player discards whatever is sent there, so we take nothing. */
export function eventsRoom(name: string, { kind, player }: EventSource, { gate, now }: EventsDeps): Room {
  const operation = rows[kind]
  return {
    player: name,
    paths: ['events'],
    admit(by, id) {
      gate.admit(createCall({ id, by, door: 'websocket', player: name, at: now() }, { operation, args: {} }))
    },
    listen: (hear) =>
      player.onEvent((event) => {
        const own = kind === 'librespot' ? operation.capability : librespotCapability(kind, event.type)
        if (own === undefined) return
        const write = (shown: LibrespotEvent) =>
          kind === 'librespot' ? JSON.stringify(shown) : writeEvent(kind, shown)
        hear(own, (scale) => write(showLibrespot(event, scale)), librespotTellsVolume(event))
      }),
  }
}

const rows = {
  'go-librespot': goLibrespot['GET /events'],
  'librespot-java': librespotJava['GET /events'],
  librespot: house['GET /players/{name}/events'],
} as const satisfies Record<EventSource['kind'], Operation>
