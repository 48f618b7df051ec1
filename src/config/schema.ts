import Type, { type Static, type TProperties } from 'typebox'
import { RolesConfig } from '../policy/policy.ts'

const strict = <P extends TProperties>(properties: P, description: string) =>
  Type.Object(properties, { additionalProperties: false, description })

const Host = Type.String({ minLength: 1, maxLength: 255, description: 'The address to listen on; `::` is every one' })
const Port = Type.Integer({ minimum: 0, maximum: 65535, description: 'The TCP port' })

// A lone label, a name with dots, or an address: what may stand in a certificate.
const hostPattern =
  /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*|[0-9a-f:.]*:[0-9a-f:.]*)$/
const Name = Type.String({ maxLength: 253, pattern: hostPattern.source })

const Https = strict(
  {
    host: Type.Optional(Host),
    port: Type.Optional(Port),
    names: Type.Optional(
      Type.Union([Type.Array(Name), Type.String({ pattern: '^[a-z0-9:., -]*$' })], {
        description:
          'Further host names and addresses we are reached by, as a list or parted by commas; the machine’s own are known',
      }),
    ),
  },
  'HTTPS and WebSocket',
)

const Mpd = strict({ host: Type.Optional(Host), port: Type.Optional(Port) }, 'MPD over TLS')

export const Listen = strict(
  {
    https: Type.Optional(Https),
    mpd: Type.Optional(Type.Union([Mpd, Type.Literal(false)], { description: 'MPD over TLS; false shuts that door' })),
  },
  'The doors, and where they are',
)

const Tls = Type.Union(
  [
    strict(
      { dir: Type.String({ minLength: 1, description: 'Where our own authority and certificate are kept' }) },
      'A certificate of our own making',
    ),
    strict(
      {
        cert: Type.String({ minLength: 1, description: 'The certificate with its chain (PEM)' }),
        key: Type.String({ minLength: 1, description: 'The private key (PEM)' }),
      },
      'A certificate from elsewhere',
    ),
  ],
  { description: 'Relative paths start from the directory the gateway is started in' },
)

const mpdAddress = Type.String({
  pattern: '^(?:\\[[0-9A-Fa-f:.]+\\]|[^\\s:/\\[\\]]+):[0-9]{1,5}$',
  description: 'Host and port of the player’s MPD door, such as 127.0.0.1:6600',
})
const isPrivate = Type.Optional(
  Type.Boolean({ description: 'The address is no loopback one, and nobody but the gateway can reach it' }),
)

export const Player = Type.Union(
  [
    strict(
      {
        kind: Type.Literal('mopidy'),
        http: Type.String({
          pattern: '^http://[^\\s/?#@\\\\]+/?$',
          description: 'Address of Mopidy’s own web server, such as http://127.0.0.1:6680',
        }),
        mpd: Type.Optional(mpdAddress),
        private: isPrivate,
      },
      'A Mopidy, with Mopidy-MPD if `mpd` is given',
    ),
    strict({ kind: Type.Literal('mpd'), mpd: mpdAddress, private: isPrivate }, 'A Music Player Daemon'),
  ],
  { description: 'A player; it must listen where nobody else can reach it' },
)
export type PlayerConfig = Readonly<Static<typeof Player>>

const Audit = strict(
  {
    days: Type.Optional(Type.Integer({ minimum: 1, maximum: 3650, description: 'How long a decision is kept' })),
    megabytes: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 100_000, description: 'How much room they may take' }),
    ),
  },
  'The record of decisions',
)

const Log = strict(
  {
    level: Type.Optional(
      Type.Enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], {
        description: 'What is worth a line',
      }),
    ),
  },
  'The log on standard output',
)

/** The configuration file as it is written. Its JSON Schema is config/stagedoor.schema.json. */
export const ConfigFile = Type.Object(
  {
    listen: Type.Optional(Listen),
    tls: Type.Optional(Tls),
    players: Type.Record(Type.String({ pattern: '^[a-z][a-z0-9-]*$' }), Player, {
      additionalProperties: false,
      minProperties: 1,
      description: 'The players by name; the first is the default',
    }),
    roles: RolesConfig,
    audit: Type.Optional(Audit),
    log: Type.Optional(Log),
  },
  {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Stagedoor',
    description: 'Who may do what, at which player, through which door',
    additionalProperties: false,
  },
)
export type ConfigFile = Static<typeof ConfigFile>

/** The configuration with nothing left out. */
export interface Config {
  readonly listen: {
    readonly https: {
      readonly host: string
      readonly port: number
      /** Host names and addresses we are reached by, beyond the machine's own. */
      readonly names: readonly string[]
    }
    readonly mpd: { readonly host: string; readonly port: number } | false
  }
  readonly tls: { readonly dir: string } | { readonly cert: string; readonly key: string }
  /** The first is the default. */
  readonly players: ReadonlyMap<string, PlayerConfig>
  readonly roles: RolesConfig
  readonly audit: { readonly days: number; readonly megabytes: number }
  readonly log: { readonly level: string }
}

export const defaults = { httpsPort: 8443, mpdPort: 6601 } as const

export function fillIn(file: ConfigFile): Config {
  const { listen = {}, tls = { dir: 'certs' }, players, roles, audit = {}, log = {} } = file
  const { https = {}, mpd = {} } = listen
  const names = typeof https.names === 'string' ? https.names.split(',').map((name) => name.trim()) : https.names
  return {
    listen: {
      https: {
        host: https.host ?? '::',
        port: https.port ?? defaults.httpsPort,
        names: (names ?? []).filter((name) => name !== ''),
      },
      mpd: mpd && { host: mpd.host ?? '::', port: mpd.port ?? defaults.mpdPort },
    },
    tls,
    players: new Map(Object.entries(players)),
    roles,
    audit: { days: audit.days ?? 90, megabytes: audit.megabytes ?? 200 },
    log: { level: log.level ?? 'info' },
  }
}
