import { connect } from 'node:net'
import { hostname } from 'node:os'
import { isatty } from 'node:tty'
import { explain } from '../config/explain.ts'
import { bare } from '../config/host.ts'
import { loadConfig, takeSnapshot } from '../config/load.ts'
import { addressesOf } from '../config/player.ts'
import type { Config } from '../config/schema.ts'
import { isShipped } from '../config/shipped.ts'
import type { Source } from '../config/watch.ts'
import { startDemo } from '../demo/player.ts'
import { type Gateway, startGateway } from '../gateway.ts'
import { type Io, parse, single } from './command.ts'
import { warningsOf } from './config.ts'
import { createLog } from './log.ts'

const usage = `
  stagedoor serve [--demo]

  --demo   a built-in demo player in place of the default one`

const options = {
  demo: { type: 'boolean' },
  // What npm start adds: the demo player when nothing else answers, so that a first try has something to play with.
  'demo-when-alone': { type: 'boolean' },
} as const

/** Runs the gateway in the foreground until it is told to end. */
export const run = single(usage, async (args, io) => {
  const { values } = parse(args, options, { min: 0, max: 0 })
  const { config, problems } = loadConfig(io.config, io.env)
  for (const problem of problems) io.err(explain(problem))
  if (!config) return 1

  const alone = await silent(config)
  const demo =
    values.demo || (values['demo-when-alone'] && isShipped(io.config) && alone.length === config.players.size)
  const log = createLog(config.log.level)
  let gateway: Gateway | undefined
  const ended = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
    const terminals = [0, 1, 2].filter((descriptor) => isatty(descriptor))
    process.on('SIGHUP', () => {
      // A terminal that is closed sends the same, and whoever started us there means to be rid of us.
      if (terminals.every((descriptor) => isatty(descriptor))) void gateway?.reload()
      else resolve()
    })
  })
  const stage = demo ? await startDemo() : undefined
  const staged = (config: Config) => (stage ? withDemo(config, stage) : config)
  gateway = await startGateway({
    config: staged(config),
    source: sourceOf(io, staged),
    data: io.data,
    log,
    now: io.now,
  })
  for (const line of greeting(gateway, config, stage !== undefined, alone)) io.err(line)
  await ended
  await gateway.close()
  await stage?.close()
  return 0
})

/** The file again and again, each time with the same players in place of its own as at the start. */
function sourceOf({ config: file, env }: Io, staged: (config: Config) => Config): Source {
  return {
    file,
    take() {
      const { digest, load } = takeSnapshot(file, env)
      return {
        digest,
        load() {
          const loaded = load()
          return loaded.config ? { ...loaded, config: staged(loaded.config) } : loaded
        },
      }
    },
  }
}

/** The names of the players that nobody answers for. */
async function silent({ players }: Config): Promise<readonly string[]> {
  const names = await Promise.all(
    [...players].map(async ([name, player]) => {
      const [[, address] = []] = addressesOf(player)
      if (address === undefined) return [] // it speaks when it has something to say
      const { hostname, port } = new URL(address.includes('://') ? address : `tcp://${address}`)
      return (await answers(bare(hostname), Number(port || 80))) ? [] : [name]
    }),
  )
  return names.flat()
}

function answers(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 1_000 })
    const end = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('connect', () => end(true))
    socket.once('timeout', () => end(false))
    socket.once('error', () => end(false))
  })
}

function withDemo(config: Config, { http, mpd }: { http: string; mpd: string }): Config {
  const [name = 'home'] = config.players.keys()
  return { ...config, players: new Map([...config.players, [name, { kind: 'mopidy', http, mpd }]]) }
}

function greeting(gateway: Gateway, config: Config, isDemo: boolean, alone: readonly string[]): string[] {
  const { ports, fingerprint } = gateway
  const { plainMpd } = config.listen
  const at = (path: string) => `https://localhost:${ports.https}${path}`
  const setup = gateway.createSetup()
  const [[first, player] = ['', undefined]] = config.players
  return [
    '',
    `Stagedoor listens on ${at('/')}${player?.kind === 'mopidy' ? ' (JSON-RPC and WebSocket below /mopidy)' : ''}`,
    ...describePlayers(config, at),
    ...(ports.mpd === undefined ? [] : [`and for MPD clients, over TLS, on port ${ports.mpd}`]),
    ...(ports.metrics === undefined
      ? []
      : [`and for Prometheus, without sign-in, on port ${ports.metrics} (/metrics)`]),
    ...(plainMpd && ports.plainMpd !== undefined
      ? [
          `WARNING: without TLS on port ${ports.plainMpd}, from ${plainMpd.from.join(', ')}, for at most: ${plainMpd.roles.join(', ')}`,
          'What goes through there can be read and changed on its way, and device tokens be used by who saw them',
        ]
      : []),
    `This machine is also ${hostname()}; other devices find the certificate at /trust`,
    `Its SHA-256 is ${fingerprint}`,
    ...warningsOf(config).map(({ text }) => `WARNING: ${text}`),
    ...(isDemo ? [`DEMO: nothing here makes a sound; "${first}" is a built-in imitation of Mopidy`] : []),
    ...alone
      .filter((name) => !(isDemo && name === first))
      .map((name) => `The player "${name}" does not answer yet; it is used as soon as it does`),
    ...(setup === undefined
      ? []
      : [
          '',
          'Nobody has an account yet. Make yourself the owner, within 30 minutes:',
          `  ${at(`/setup#token=${setup}`)}`,
          'or on this machine: npx stagedoor user add NAME --role owner',
        ]),
    '',
  ]
}

/** Where each player is served; nothing for a single Mopidy, which is where people expect it. */
function describePlayers({ players }: Config, at: (path: string) => string): string[] {
  if (players.size === 1 && [...players.values()].every(({ kind }) => kind === 'mopidy')) return []
  return [...players].map(([name, player]) => {
    const web = player.kind === 'mopidy' ? (player.web ?? []) : []
    const pages = web.map((client) => (typeof client === 'string' ? `/${client}/` : client.path))
    const where = player.kind === 'mpd' ? 'reached over MPD' : `at ${at(`/players/${name}/`)}`
    return `The player "${name}" (${player.kind}) is ${where}${pages.length > 0 ? ` with ${pages.join(', ')}` : ''}`
  })
}
