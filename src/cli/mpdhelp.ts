import { X509Certificate } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { oneOf } from '../config/explain.ts'
import { type Config, defaults } from '../config/schema.ts'
import { isName } from '../store/name.ts'
import { aliases, clients, guide, handbook, type Place } from './clients.ts'
import { type Io, Misuse, parse, print, single } from './command.ts'
import { configOf } from './config.ts'

const usage = `
  stagedoor mpd-help                        the clients there is help for
  stagedoor mpd-help CLIENT [--host HOST] [--port PORT] [--local PORT] [--user NAME…] [--role R]
  stagedoor mpd-help --all                  all of it, as docs/clients.md

  HOST and PORT are the gateway's MPD door, --local the port of a tunnel on the client's machine.
  What is left out is as the configuration and this machine say.`

/** What docs/clients.md says, where a house would say its own. */
const example: Place = {
  host: 'music.lan',
  port: defaults.mpdPort,
  https: defaults.httpsPort,
  local: 6600,
  plain: 6602, // beside 6600, where the player itself listens
  users: ['ada'],
  role: 'guest',
  authority: 'own',
}

const options = {
  all: { type: 'boolean' },
  host: { type: 'string' },
  port: { type: 'string' },
  local: { type: 'string' },
  user: { type: 'string', multiple: true },
  role: { type: 'string' },
} as const

/** Ready snippets for an MPD client: token, tunnel, settings. */
export const run = single(usage, (args, io) => {
  const { values, words } = parse(args, options, { min: 0, max: 1 })
  const { all = false, host, port, local, user: users, role } = values
  const given = {
    ...(host !== undefined && { host: hostOf(host) }),
    ...(port !== undefined && { port: portOf(port) }),
    ...(local !== undefined && { local: portOf(local) }),
    ...(users && { users: users.map(nameOf) }),
    ...(role !== undefined && { role: roleOf(role) }),
  }
  if (all) {
    io.out(handbook({ ...example, ...given }))
    return 0
  }
  const [word] = words
  if (word === undefined) {
    const rows = clients.map(({ name, on, ways }) => ({ client: name, on, ways }))
    print(io, rows, false)
    return 0
  }
  const name = aliases.get(word.toLowerCase()) ?? word.toLowerCase()
  const client = clients.find((known) => known.name === name)
  if (!client) {
    const names = clients.map((known) => known.name)
    throw new Misuse(`no such client: ${word}; there is help for ${oneOf(names)}`)
  }
  io.out(guide(client, { ...placeOf(io), ...given }))
  return 0
})

/** The house's own place, or the example's where there is no configuration to ask. */
function placeOf(io: Io): Place {
  const machine = hostname().toLowerCase()
  const here = { ...example, users: ['NAME'], host: hostPattern.test(machine) ? machine : example.host }
  if (!existsSync(io.config)) return here
  const { config } = configOf(io)
  const { https, mpd, plainMpd } = config.listen
  const [known] = https.names
  if (!mpd) io.err('the configuration shuts the door for MPD over TLS (listen.mpd: false): open it for a tunnel')
  return {
    ...here,
    ...(known !== undefined && { host: known }),
    ...(mpd && { port: mpd.port }),
    ...(plainMpd && { plain: plainMpd.port, role: plainMpd.roles[0] ?? here.role }),
    https: https.port,
    ...authorityOf(config.tls),
  }
}

function authorityOf(tls: Config['tls']): Pick<Place, 'authority' | 'fingerprint'> {
  if (!('dir' in tls)) return { authority: 'public' }
  const file = join(tls.dir, 'ca.crt')
  if (!existsSync(file)) return { authority: 'own' } // the gateway has not run yet
  return { authority: 'own', fingerprint: new X509Certificate(readFileSync(file)).fingerprint256 }
}

// These end up in files and shell commands that people copy: nothing in them may mean anything there.

const hostPattern = /^(?:[a-z0-9][a-z0-9.-]{0,252}|[0-9a-f:.]*:[0-9a-f:.]*)$/

function hostOf(text: string): string {
  const host = text.toLowerCase()
  if (!hostPattern.test(host)) throw new Misuse(`not a host: ${JSON.stringify(text)}; a name or an address is one`)
  return host
}

function portOf(text: string): number {
  const port = /^[1-9]\d{0,4}$/.test(text) ? Number(text) : 0
  if (port < 1 || port > 65535) throw new Misuse(`not a port: ${JSON.stringify(text)}; 1 to 65535 is one`)
  return port
}

/** A word of a shell command: quoted where it has to be. */
function nameOf(text: string): string {
  if (!isName(text)) throw new Misuse(`not a name: ${JSON.stringify(text)}`)
  return /^[\p{L}\p{M}\p{N}._@+-]+$/u.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}

function roleOf(text: string): string {
  if (!/^[a-z][a-z0-9-]*$/.test(text)) throw new Misuse(`not a role: ${JSON.stringify(text)}`)
  return text
}
