import { isObject } from '../jsonrpc/message.ts'
import { clean } from '../rest/text.ts'

/** What librespot says with `--onevent`, by the names its environment has. Nothing else is handed on or looked at. */
export const variables = [
  'PLAYER_EVENT',
  'ALBUM',
  'ARTISTS',
  'COVERS',
  'DURATION_MS',
  'NAME',
  'POSITION_MS',
  'REPEAT',
  'REPEAT_TRACK',
  'SHOW_NAME',
  'SHUFFLE',
  'URI',
  'VOLUME',
] as const

/** One event of a plain librespot, made of what was said and nothing beyond. All of them are about its status. */
export type Onevent =
  | {
      readonly type: 'track_changed'
      readonly data: {
        readonly uri: string | null
        readonly name: string | null
        readonly artists: readonly string[]
        readonly album: string | null
        readonly cover: string | null
        /** Milliseconds. */
        readonly duration: number | null
      }
    }
  | { readonly type: 'playing' | 'paused' | 'seeked'; readonly data: { readonly position: number | null } }
  | { readonly type: 'stopped' }
  /** 0 to 100. */
  | { readonly type: 'volume_changed'; readonly data: { readonly volume: number } }
  | { readonly type: 'shuffle_changed'; readonly data: { readonly shuffle: boolean } }
  | { readonly type: 'repeat_changed'; readonly data: { readonly repeat: boolean; readonly track: boolean } }

/**
 * What the bridge handed on: names of environment variables and their texts, which any song's label could have written.
 *
 * @returns undefined for an event that says nothing of the status
 * @throws SyntaxError for what librespot would never say
 */
export function readOnevent(said: unknown): Onevent | undefined {
  if (!isObject(said)) throw new SyntaxError('no event')
  const texts = new Map<string, string>()
  for (const [name, text] of Object.entries(said)) {
    if (!names.has(name) || typeof text !== 'string') throw new SyntaxError('not what librespot says')
    texts.set(name, text)
  }
  const event = texts.get('PLAYER_EVENT') ?? ''
  if (!/^[a-z_]{1,40}$/.test(event)) throw new SyntaxError('no event')
  return reader.get(event)?.(texts)
}

const names: ReadonlySet<string> = new Set(variables)

type Texts = ReadonlyMap<string, string>

const at = (type: 'playing' | 'paused' | 'seeked') => (texts: Texts) =>
  ({ type, data: { position: numberOf(texts, 'POSITION_MS', 86_400_000) } }) as const
const stopped = () => ({ type: 'stopped' }) as const
const volume = (texts: Texts) => {
  const steps = numberOf(texts, 'VOLUME', 65_535)
  if (steps === null) throw new SyntaxError('no volume')
  return { type: 'volume_changed', data: { volume: Math.ceil((steps * 100) / 65_535) } } as const
}

const reader: ReadonlyMap<string, (texts: Texts) => Onevent> = new Map<string, (texts: Texts) => Onevent>([
  [
    'track_changed',
    (texts) => ({
      type: 'track_changed',
      data: {
        uri: /^spotify:(?:track|episode|local):[0-9A-Za-z:%+._-]{1,200}$/.exec(texts.get('URI') ?? '')?.[0] ?? null,
        name: lineOf(texts.get('NAME')),
        artists: (texts.get('ARTISTS') ?? texts.get('SHOW_NAME') ?? '')
          .split('\n', 20)
          .flatMap((artist) => lineOf(artist) ?? []),
        album: lineOf(texts.get('ALBUM')),
        cover: /^https:\/\/[a-z0-9.-]{1,100}\/[A-Za-z0-9/_-]{1,200}$/m.exec(texts.get('COVERS') ?? '')?.[0] ?? null,
        duration: numberOf(texts, 'DURATION_MS', 86_400_000),
      },
    }),
  ],
  ['playing', at('playing')],
  ['paused', at('paused')],
  ['seeked', at('seeked')],
  ['position_correction', at('seeked')],
  ['stopped', stopped],
  ['unavailable', stopped],
  ['session_disconnected', stopped],
  ['volume_changed', volume],
  // Before 0.5.
  ['volume_set', volume],
  ['shuffle_changed', (texts) => ({ type: 'shuffle_changed', data: { shuffle: isOn(texts, 'SHUFFLE') } })],
  [
    'repeat_changed',
    (texts) => ({
      type: 'repeat_changed',
      data: { repeat: isOn(texts, 'REPEAT'), track: isOn(texts, 'REPEAT_TRACK') },
    }),
  ],
])

/** One line, as short as a name is; null when nothing is left of it. */
function lineOf(text = ''): string | null {
  return clean(text, 500).trim() || null
}

function numberOf(texts: Texts, name: string, most: number): number | null {
  const text = texts.get(name) ?? ''
  return /^\d{1,9}$/.test(text) && Number(text) <= most ? Number(text) : null
}

function isOn(texts: Texts, name: string): boolean {
  return texts.get(name) === 'true'
}
