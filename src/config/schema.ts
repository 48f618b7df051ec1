import Type, { type Static } from 'typebox'
import { machineZone, Zone } from '../policy/clock.ts'
import { RolesConfig } from '../policy/policy.ts'
import { Notify, type NotifyTarget } from './notify.ts'
import { Player, type PlayerConfig } from './player.ts'
import { strict } from './strict.ts'

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

const mpdLimits = {
  timeout: Type.Optional(
    Type.Integer({
      minimum: 5,
      maximum: 86_400,
      description: 'Seconds that a client may be silent outside of `idle` until it is sent away; 60 if left out',
    }),
  ),
  connections: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 10_000, description: 'Connections of this door in all; 512 if left out' }),
  ),
  connectionsEach: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 10_000, description: 'Connections from one address; 64 if left out' }),
  ),
}

const Mpd = strict({ host: Type.Optional(Host), port: Type.Optional(Port), ...mpdLimits }, 'MPD over TLS')

const PlainMpd = strict(
  {
    host: Type.Optional(Host),
    port: Port,
    from: Type.Array(
      Type.String({ maxLength: 49, description: 'A range of private addresses, such as 192.168.1.0/24 or fd00::/8' }),
      { minItems: 1, description: 'Who may come in: ranges of private addresses, such as 192.168.1.0/24' },
    ),
    roles: Type.Array(Type.String({ maxLength: 64, description: 'A role of this configuration' }), {
      minItems: 1,
      description:
        'The ceiling: whoever comes in here may do what these roles and their own both allow, and no more, such as [guest]',
    }),
    ...mpdLimits,
  },
  'MPD without TLS, for clients that cannot do better: whoever is on the network path reads along, device tokens included',
)

const Metrics = strict(
  {
    host: Type.Optional(
      Type.String({ minLength: 1, maxLength: 255, description: 'The address to listen on; 127.0.0.1 if left out' }),
    ),
    port: Type.Optional(Port),
  },
  'Where programs read figures of the gateway, without sign-in and without TLS',
)

export const Listen = strict(
  {
    https: Type.Optional(Https),
    mpd: Type.Optional(Type.Union([Mpd, Type.Literal(false)], { description: 'MPD over TLS; false shuts that door' })),
    plainMpd: Type.Optional(
      Type.Union([PlainMpd, Type.Literal(false)], {
        description: 'MPD without TLS, for device tokens only; shut unless it stands here',
      }),
    ),
    metrics: Type.Optional(
      Type.Union([Metrics, Type.Boolean()], {
        description: 'Figures for Prometheus at /metrics: true for 127.0.0.1:9680; shut unless it stands here',
      }),
    ),
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
    zone: Type.Optional(Zone),
    roles: RolesConfig,
    notify: Type.Optional(Notify),
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

/** Where an MPD door is and how much it takes. */
export interface MpdDoorConfig {
  readonly host: string
  readonly port: number
  /** Seconds that a client may be silent outside of `idle`. */
  readonly timeout: number
  readonly connections: number
  /** From one source. */
  readonly connectionsEach: number
}

export interface PlainMpdConfig extends MpdDoorConfig {
  /** Ranges of addresses (CIDR) that may come in. */
  readonly from: readonly string[]
  /** The ceiling of everybody who does. */
  readonly roles: readonly string[]
}

/** The configuration with nothing left out. */
export interface Config {
  readonly listen: {
    readonly https: {
      readonly host: string
      readonly port: number
      /** Host names and addresses we are reached by, beyond the machine's own. */
      readonly names: readonly string[]
    }
    readonly mpd: MpdDoorConfig | false
    readonly plainMpd: PlainMpdConfig | false
    readonly metrics: { readonly host: string; readonly port: number } | false
  }
  readonly tls: { readonly dir: string } | { readonly cert: string; readonly key: string }
  /** The first is the default. */
  readonly players: ReadonlyMap<string, PlayerConfig>
  /** The time zone (IANA) by whose clock hours and ceilings go. */
  readonly zone: string
  readonly roles: RolesConfig
  readonly notify: readonly NotifyTarget[]
  readonly audit: { readonly days: number; readonly megabytes: number }
  readonly log: { readonly level: string }
}

export const defaults = {
  httpsPort: 8443,
  mpdPort: 6601,
  metrics: { host: '127.0.0.1', port: 9680 },
  mpdDoor: { host: '::', timeout: 60, connections: 512, connectionsEach: 64 },
} as const

export function fillIn(file: ConfigFile): Config {
  const { listen = {}, tls = { dir: 'certs' }, players, zone, roles, notify = [], audit = {}, log = {} } = file
  const { https = {}, mpd = {}, plainMpd = false, metrics = false } = listen
  const names = typeof https.names === 'string' ? https.names.split(',').map((name) => name.trim()) : https.names
  return {
    listen: {
      https: {
        host: https.host ?? '::',
        port: https.port ?? defaults.httpsPort,
        names: (names ?? []).filter((name) => name !== ''),
      },
      mpd: mpd && { ...defaults.mpdDoor, port: defaults.mpdPort, ...mpd },
      plainMpd: plainMpd && { ...defaults.mpdDoor, ...plainMpd },
      metrics: metrics && { ...defaults.metrics, ...(metrics === true ? {} : metrics) },
    },
    tls,
    players: new Map(Object.entries(players)),
    zone: zone ?? machineZone(),
    roles,
    notify,
    audit: { days: audit.days ?? 90, megabytes: audit.megabytes ?? 200 },
    log: { level: log.level ?? 'info' },
  }
}
