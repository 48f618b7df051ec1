import { createMopidyDoor } from './mopidy.ts'
import { createMpdDoor } from './mpd.ts'
import { createPlayer, type Faults, type Player, type PlayerEvent, type Received, type Stage } from './stage.ts'

export interface Demo {
  readonly http: string
  /** `host:port` */
  readonly mpd: string
  readonly state: Player
  readonly faults: Faults
  readonly received: Received
  close(): Promise<void>
}

/**
 * A small, honest imitation of Mopidy on loopback: its JSON-RPC over HTTP and WebSocket, and its MPD door, without a
 * sound. For those who have no Mopidy yet, and for tests, which can make it misbehave.
 */
export async function startDemo(
  given: { httpPort?: number; mpdPort?: number; now?: () => number } = {},
): Promise<Demo> {
  const { httpPort = 0, mpdPort = 0, now = Date.now } = given
  const listeners = new Set<(event: PlayerEvent) => void>()
  const player = createPlayer({
    now,
    emit(event) {
      for (const listener of listeners) listener(event)
    },
  })
  const faults: Faults = {}
  const received: Received = { http: [], websocket: [], mpd: [] }
  const stage: Stage = {
    player,
    faults,
    received,
    listen(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
  const mopidy = await createMopidyDoor(stage, httpPort)
  const mpd = await createMpdDoor(stage, mpdPort).catch(async (error: unknown) => {
    await mopidy.close()
    throw error
  })
  const ticker = setInterval(player.settle, 200).unref()
  return {
    http: `http://127.0.0.1:${mopidy.port}`,
    mpd: `127.0.0.1:${mpd.port}`,
    state: player,
    faults,
    received,
    async close() {
      clearInterval(ticker)
      await Promise.all([mopidy.close(), mpd.close()])
    },
  }
}
