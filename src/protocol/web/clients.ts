import type { Capability } from '../../call/capability.ts'
import type { Catalog } from '../../call/catalog.ts'
import { irisHttp } from './iris.ts'
import { muse } from './muse.ts'
import { musicbox } from './musicbox.ts'
import { party } from './party.ts'
import { pibox } from './pibox.ts'

/** A web client that Mopidy serves: files to be looked at, and the commands of its own that are known. */
export interface WebClient {
  readonly name: string
  /** Where it lies, with a slash before and behind. */
  readonly path: string
  /** What it takes to open it. */
  readonly capability: Capability
  /** The Content-Security-Policy its pages get. */
  readonly policy: string
  /** Its commands over HTTP, by whole paths; they take what their rows say. */
  readonly commands: Catalog
  /** Paths of its sockets, with or without a slash behind. */
  readonly sockets: readonly string[]
  /** First segments below its path that are never files. */
  readonly reserved: readonly string[]
  /** Pages that are made in the browser: a path that is no file is answered with the first page. */
  readonly pages?: true
  /** Pictures that never change, and no list of them. */
  readonly art?: true
}

interface Sources {
  /** Scripts that stand in the pages themselves, and handlers in attributes. */
  readonly inline?: true
  /** Scripts that are made of text in the page. */
  readonly eval?: true
  readonly connect?: readonly string[]
  readonly styles?: readonly string[]
  readonly fonts?: readonly string[]
}

/** Everything from here but pictures, which come from wherever the music does; nobody frames it, nothing is posted away. */
function policy({ inline, eval: evaluates, connect = [], styles = [], fonts = [] }: Sources = {}): string {
  return [
    "default-src 'none'",
    `script-src 'self'${inline ? " 'unsafe-inline'" : ''}${evaluates ? " 'unsafe-eval'" : ''}`,
    ["style-src 'self' 'unsafe-inline'", ...styles].join(' '),
    "img-src 'self' data: blob: https:",
    ["font-src 'self' data:", ...fonts].join(' '),
    ["connect-src 'self'", ...connect].join(' '),
    "media-src 'self' blob:",
    "manifest-src 'self'",
    "worker-src 'self'",
    "base-uri 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join('; ')
}

const none: Catalog = {}

function client(name: string, row: Partial<Omit<WebClient, 'name'>>): WebClient {
  return {
    name,
    path: `/${name}/`,
    capability: 'status.read',
    policy: policy(),
    commands: none,
    sockets: [],
    reserved: [],
    ...row,
  }
}

const clients: readonly WebClient[] = [
  client('iris', {
    // Lyrics, artists and, for who signs in there, Spotify are asked by the browser itself.
    policy: policy({
      inline: true,
      connect: [
        'https://api.spotify.com',
        'https://ws.audioscrobbler.com',
        'https://api.genius.com',
        'https://api.discogs.com',
      ],
    }),
    commands: irisHttp,
    sockets: ['/iris/ws'],
    reserved: ['http', 'ws'],
    pages: true,
  }),
  // What its pages say is compiled in the browser.
  client('mobile', { policy: policy({ eval: true }) }),
  client('musicbox_webclient', {
    policy: policy({ inline: true, connect: ['https://ws.audioscrobbler.com'] }),
    commands: musicbox,
  }),
  client('party', { commands: party, reserved: ['vote', 'add', 'config'] }),
  client('muse', { policy: policy({ inline: true }), commands: muse, reserved: ['config'], pages: true }),
  client('pibox', {
    // Its page would also tell a counter on the internet who opens it.
    policy: policy({ styles: ['https://fonts.googleapis.com'], fonts: ['https://fonts.gstatic.com'] }),
    commands: pibox,
    sockets: ['/pibox/ws'],
    reserved: ['api', 'config', 'ws'],
    pages: true,
  }),
  client('local', { capability: 'library.read', policy: "default-src 'none'; sandbox", art: true }),
]

/** The web clients we know, by the names the configuration has for them. */
export const webClients: ReadonlyMap<string, WebClient> = new Map(clients.map((row) => [row.name, row]))

/** One we know nothing of: its files are shown, and none of its own commands pass. */
export function otherClient(path: string, capability: Capability = 'status.read'): WebClient {
  return client(path.replaceAll('/', ''), { path, capability, policy: policy({ inline: true }) })
}

/** What files of web clients end in. */
const fileEnding =
  /\.(?:appcache|avif|bmp|css|eot|gif|html?|ico|jpe?g|js|json|map|mjs|mp3|ogg|otf|png|svg|ttf|txt|wasm|webmanifest|webp|woff2?)$/i
const pictureEnding = /\.(?:avif|bmp|gif|jpe?g|png|webp)$/i

/**
 * Whether a path below the client's own is a file of it, or a page: what may be fetched, and nothing that does something.
 *
 * @param segments of `readPath`, those of the client's own path left away
 */
export function isFile(client: WebClient, segments: readonly string[]): boolean {
  const [first = '', ...rest] = segments
  const last = segments.at(-1) ?? ''
  if (client.reserved.includes(first.toLowerCase())) return false
  if (client.art) return rest.length === 0 && pictureEnding.test(last)
  if (segments.length <= 1 && first === '') return true
  return fileEnding.test(last) || client.pages === true
}
