import { createServer, type Socket } from 'node:net'
import { Fault } from '../call/fault.ts'
import { isObject, parseMessage } from '../protocol/jsonrpc/message.ts'
import type { LibrespotEvent } from '../protocol/librespot/events.ts'
import { type Onevent, readOnevent } from '../protocol/librespot/onevent.ts'
import { type Canvas, createCanvas } from './canvas.ts'
import type { PicturePlayer } from './player.ts'
import { type PlacedSocket, placeSocket } from './socket.ts'

/** What `librespot --onevent` tells, through the socket that `stagedoor onevent` writes to. */
export interface OneventServer {
  /** A player that may speak there. @throws Fault when there is one of that name */
  open(player: string): OneventPlayer
  /** @throws Fault when the socket cannot be made, saying what is in the way */
  listen(): Promise<void>
  close(): Promise<void>
}

/** A player that tells of itself and cannot be asked. */
export interface OneventPlayer extends PicturePlayer {
  onEvent(listener: (event: LibrespotEvent) => void): () => void
  /** Whether it could tell something now; more is not known of it. */
  readonly up: boolean
  close(): void
}

export interface OneventOptions {
  /** Where the socket is, such as `data/onevent.sock`. Its directory is the gateway's own. */
  readonly path: string
  now(): number
  readonly log?: { warn(about: object, text: string): void }
  readonly limits?: Partial<OneventLimits>
}

const defaults = {
  /** At once. Each event is a connection of its own, and a short one. */
  connections: 16,
  /** One connection: how long, how many lines, and how long one of them. */
  connectionMs: 5_000,
  lines: 64,
  lineBytes: 16 * 1024,
}
export type OneventLimits = Readonly<typeof defaults>

interface Speaker {
  readonly canvas: Canvas
  readonly listeners: Set<(event: LibrespotEvent) => void>
}

/**
 * A socket for the owner of this process and nobody else on this machine.
 *
 * Who speaks there is believed what songs are called, and no more: whatever else comes ends the connection.
 */
export function createOnevent({ path, now, log, limits: given }: OneventOptions): OneventServer {
  const limits = { ...defaults, ...given }
  const speakers = new Map<string, Speaker>()
  const sockets = new Set<Socket>()
  let isListening = false
  let placed: PlacedSocket | undefined

  const server = createServer((socket) => {
    // A closed door is seen at once by the bridge, which is called again with the next event.
    if (sockets.size >= limits.connections) return void socket.destroy()
    sockets.add(socket)
    hear(socket)
  })

  server.on('error', (error) => log?.warn({ socket: path, error: error.message }, 'onevent: the socket failed'))

  function hear(socket: Socket): void {
    let rest: Buffer = Buffer.alloc(0)
    let lines = 0
    const timer = setTimeout(() => socket.destroy(), limits.connectionMs)
    const end = (why: string) => {
      log?.warn({ socket: path, reason: why }, 'onevent: a connection ended')
      socket.destroy()
    }
    socket.on('error', () => {})
    socket.on('close', () => {
      clearTimeout(timer)
      sockets.delete(socket)
    })
    socket.on('data', (chunk: Buffer) => {
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
      for (let feed = rest.indexOf(10); feed >= 0; feed = rest.indexOf(10)) {
        if (feed > limits.lineBytes || ++lines > limits.lines) return end('too much was said')
        const line = rest.subarray(0, feed)
        rest = rest.subarray(feed + 1)
        try {
          take(line)
        } catch (error) {
          return end(error instanceof Fault || error instanceof SyntaxError ? error.message : 'no event')
        }
      }
      if (rest.length > limits.lineBytes) end('too much was said')
    })
  }

  /** @throws Fault or SyntaxError */
  function take(line: Uint8Array): void {
    const message = parseMessage(line, { bytes: limits.lineBytes, depth: 2 })
    if (!isObject(message)) throw new SyntaxError('not a player and an event')
    const { player, event: said, ...more } = message
    if (Object.keys(more).length > 0) throw new SyntaxError('not a player and an event')
    const [only, ...others] = speakers.values()
    const unnamed = player === undefined && others.length === 0 ? only : undefined
    const speaker = typeof player === 'string' ? speakers.get(player) : unnamed
    if (!speaker) throw new SyntaxError('no such player')
    const event = readOnevent(said)
    if (!event) return
    draw(speaker.canvas, event, now())
    for (const listener of speaker.listeners) listener(event)
  }

  return {
    open(player) {
      if (speakers.has(player)) throw new Fault('internal', `two players are called ${player}`)
      const canvas = createCanvas(now)
      const listeners = new Set<(event: LibrespotEvent) => void>()
      speakers.set(player, { canvas, listeners })
      return {
        get picture() {
          return canvas.picture
        },
        onPicture: canvas.onPicture,
        onEvent(listener) {
          listeners.add(listener)
          return () => listeners.delete(listener)
        },
        get up() {
          return isListening && speakers.has(player)
        },
        close: () => void speakers.delete(player),
      }
    },
    async listen() {
      if (isListening) return
      placed = await placeSocket(server, path)
      isListening = true
    },
    async close() {
      isListening = false
      for (const socket of sockets) socket.destroy()
      await placed?.close()
    },
  }
}

function draw(canvas: Canvas, event: Onevent, at: number): void {
  switch (event.type) {
    case 'track_changed': {
      const { uri, name, artists, album, cover, duration } = event.data
      canvas.change({
        uri,
        title: name,
        artist: artists.join(', ') || null,
        album,
        art: cover,
        duration,
        position: 0,
        at,
      })
      break
    }
    case 'playing':
    case 'paused':
      canvas.change({ state: event.type, position: event.data.position, at })
      break
    case 'seeked':
      canvas.change({ position: event.data.position, at })
      break
    case 'stopped':
      canvas.change({ state: 'stopped', position: null, at })
      break
    case 'volume_changed':
      canvas.change({ volume: event.data.volume })
      break
    case 'shuffle_changed':
      canvas.change({ options: { ...optionsOf(canvas), random: event.data.shuffle } })
      break
    case 'repeat_changed': {
      const { repeat, track } = event.data
      canvas.change({ options: { ...optionsOf(canvas), repeat: repeat || track, single: track } })
      break
    }
  }
}

const noOptions = { random: false, repeat: false, single: false, consume: false }

function optionsOf({ picture }: Canvas) {
  return picture?.options ?? noOptions
}
