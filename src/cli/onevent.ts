import { connect } from 'node:net'
import { join } from 'node:path'
import { messageOf } from '../call/fault.ts'
import { variables } from '../protocol/librespot/onevent.ts'
import { type Io, Misuse, parse, single } from './command.ts'

const usage = `
  stagedoor onevent [--player NAME] [--socket PATH]

  To be named in \`librespot --onevent\`: tells the gateway what librespot plays. With one such player its name may be
  left out. The socket is DATA/onevent.sock, or STAGEDOOR_ONEVENT_SOCKET.`

const options = { player: { type: 'string' }, socket: { type: 'string' } } as const

const deadlineMs = 2_000

/** Whatever becomes of it, librespot plays on: nothing but misuse is a failure. */
export const run = single(usage, async (args, io) => {
  const { values } = parse(args, options, { min: 0, max: 0 })
  const line = lineOf(io.env, values.player)
  try {
    await say(line, socketOf(io, values.socket))
  } catch (error) {
    io.err(`stagedoor: the gateway was not told: ${messageOf(error)}`)
  }
  return 0
})

function socketOf({ env, data }: Io, given: string | undefined): string {
  return given ?? (env.STAGEDOOR_ONEVENT_SOCKET || join(data, 'onevent.sock'))
}

/** UTF-16 units: all of the texts fit into a line of 16 KiB, at three bytes each. */
const longest = 800
const texts: ReadonlySet<string> = new Set(['ALBUM', 'ARTISTS', 'COVERS', 'NAME', 'SHOW_NAME', 'URI'])
const shortest = 40

/**
 * One line of JSON with what librespot said and nothing else of the environment. Anybody may have named the song, so
 * texts are cut, and hold no control characters but the line breaks that part artists.
 */
function lineOf(env: Io['env'], player: string | undefined): string {
  if (player !== undefined && !/^[a-z][a-z0-9-]{0,63}$/.test(player)) throw new Misuse('no name of a player')
  const event: Record<string, string> = {}
  for (const name of variables) {
    const text = env[name]
    if (text !== undefined) event[name] = clean(text, texts.has(name) ? longest : shortest)
  }
  if (!event.PLAYER_EVENT) throw new Misuse('PLAYER_EVENT is not set: this is for librespot to call')
  return `${JSON.stringify({ ...(player !== undefined && { player }), event })}\n`
}

function clean(text: string, length: number): string {
  return text
    .slice(0, length)
    .toWellFormed()
    .replace(/[^\P{Cc}\n]/gu, ' ')
}

function say(line: string, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    const timer = setTimeout(() => socket.destroy(new Error('it does not listen')), deadlineMs)
    socket.once('connect', () => socket.end(line))
    socket.once('error', reject)
    socket.once('close', () => {
      clearTimeout(timer)
      resolve()
    })
    socket.resume()
  })
}
