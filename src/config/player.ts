import Type, { type Static } from 'typebox'
import { type Capability, capabilities, capabilityNames } from '../call/capability.ts'
import { RoomVolume } from '../policy/room.ts'
import { strict } from './strict.ts'

/** The web clients of Mopidy that we know: each has its row in protocol/web/clients.ts. */
export const webClients = ['iris', 'mobile', 'musicbox_webclient', 'party', 'muse', 'pibox', 'local'] as const

const WebPath = strict(
  {
    path: Type.String({
      pattern: '^/[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}/$',
      description: 'The path Mopidy serves it at, such as /name/',
    }),
    capability: Type.Optional(
      Type.Unsafe<Capability>({
        enum: capabilityNames,
        enumDescriptions: Object.values(capabilities),
        description: 'What it takes to open it; status.read if left out',
      }),
    ),
  },
  'Files of a web client that we know nothing of: to be looked at only, none of its own commands pass',
)

const Web = Type.Array(Type.Union([Type.Enum([...webClients]), WebPath]), {
  minItems: 1,
  maxItems: 32,
  description: 'The web clients that Mopidy serves and people may open: by name, or { path: "/name/" } for others',
})

const mpdAddress = Type.String({
  pattern: '^(?:\\[[0-9A-Fa-f:.]+\\]|[^\\s:/\\[\\]]+):[0-9]{1,5}$',
  description: 'Host and port of the player’s MPD door, such as 127.0.0.1:6600',
})

const httpAddress = (description: string) => Type.String({ pattern: '^http://[^\\s/?#@\\\\]+/?$', description })

const isPrivate = Type.Optional(
  Type.Boolean({ description: 'The address is no loopback one, and nobody but the gateway can reach it' }),
)

/** For every kind, so that one which cannot keep it gets a reason. */
const maxVolume = Type.Optional(RoomVolume)

export const Player = Type.Union(
  [
    strict(
      {
        kind: Type.Literal('mopidy'),
        http: httpAddress('Address of Mopidy’s own web server, such as http://127.0.0.1:6680'),
        mpd: Type.Optional(mpdAddress),
        web: Type.Optional(Web),
        maxVolume,
        private: isPrivate,
      },
      'A Mopidy, with Mopidy-MPD if `mpd` is given',
    ),
    strict({ kind: Type.Literal('mpd'), mpd: mpdAddress, maxVolume, private: isPrivate }, 'A Music Player Daemon'),
    strict(
      {
        kind: Type.Literal('go-librespot'),
        url: httpAddress('Address of its API (`server` in its configuration), such as http://127.0.0.1:3678'),
        maxVolume,
        private: isPrivate,
      },
      'A go-librespot with its API switched on',
    ),
    strict(
      {
        kind: Type.Literal('librespot-java'),
        url: httpAddress('Address of its API, such as http://127.0.0.1:24879'),
        maxVolume,
        private: isPrivate,
      },
      'A librespot-java with its API; it listens on every address unless told otherwise',
    ),
    strict(
      {
        kind: Type.Literal('librespot'),
        zeroconf: Type.Optional(
          httpAddress('Address of its discovery server (`--zeroconf-port`), such as http://127.0.0.1:5355'),
        ),
        onevent: Type.Optional(
          Type.Literal(true, { description: 'It tells what it does by `--onevent`: see stagedoor onevent' }),
        ),
        maxVolume,
        private: isPrivate,
      },
      'A librespot, spotifyd or whatever else pairs the way they do: at least one of `zeroconf` and `onevent`',
    ),
  ],
  { description: 'A player; it must listen where nobody else can reach it' },
)
export type PlayerConfig = Readonly<Static<typeof Player>>
export type WebConfig = Static<typeof Web>

/** The addresses a player is reached at, each by its key. */
export function addressesOf(player: PlayerConfig): readonly (readonly [key: string, address: string])[] {
  const keys = ['http', 'mpd', 'url', 'zeroconf'] as const
  const given: Readonly<Partial<Record<(typeof keys)[number], string>>> = player
  return keys.flatMap((key) => {
    const address = given[key]
    return address === undefined ? [] : [[key, address] as const]
  })
}
