import { type Authority, decode, type Host, isNetwork, readAuthority } from './host.ts'
import { remembering } from './memo.ts'
import { isWellFormed, pathScheme, schemeOf } from './uri.ts'

/** A part of all addresses, by how they begin. */
export interface Pattern {
  readonly text: string
  /** Whether the address is one of these however a player reads it. What is read in two ways is not. */
  allows(uri: string): boolean
  /** Whether a plain address is one of these in any way a player may read it: capitals and encoding make no difference. */
  denies(uri: string): boolean
  /** Whether it names this very host, and not one of many. */
  readonly host: Host | undefined
}

/** What is wrong with a pattern, and the way out. */
export interface Slip {
  readonly what: string
  readonly fix: string
}

export function isSlip(read: Pattern | Slip): read is Slip {
  return 'fix' in read
}

/** An address taken apart. */
interface Parts {
  readonly scheme: string
  readonly authority?: Authority
  /** What follows scheme and authority. */
  readonly rest: string
}

const example = 'begin with a kind of address and its colon, such as local: or https://radio.example/'

/**
 * Reads `local:`, `spotify:show:`, `https://*.radio.example:8000/live/`, `path:kids/` or `file:///srv/music/`.
 *
 * It takes time in proportion to the address, whatever the two are.
 */
export function readPattern(text: string): Pattern | Slip {
  const [, first = '', rest = ''] = /^([a-z][a-z0-9+.-]*):(.*)$/is.exec(text) ?? []
  const scheme = first.toLowerCase()
  if (scheme === '') return { what: 'no kind of address', fix: example }
  if (scheme === pathScheme && rest.startsWith('/')) {
    return {
      what: 'a path outside the library',
      fix: `write it as the library has it: path:${rest.replace(/^\/+/, '')}`,
    }
  }
  if (!isWellFormed(scheme === pathScheme ? rest : text)) {
    return { what: 'no address that anybody may ask for', fix: 'leave out dot segments and control characters' }
  }
  const isSuffix = /^\/\/\*\./.test(rest) && isNetwork(scheme)
  if (rest.slice(isSuffix ? 3 : 0).includes('*')) {
    const fix = 'leave it out: a pattern is for all that begins with it; only a host may begin with *.'
    return { what: 'a * that stands for nothing', fix }
  }
  if (scheme === 'file' && rest !== '' && !/^\/\/\/[^/]/.test(rest)) {
    return { what: 'not a folder', fix: 'write all of its path, such as file:///srv/music/' }
  }
  if (!isNetwork(scheme)) return patternOf(text, { scheme, rest })
  if (rest === '') return patternOf(text, { scheme, rest })
  return readNetwork(text, scheme, rest, isSuffix)
}

/** Every file there is: for a player this is the whole disk of its machine. */
export function isEveryFile(text: string): boolean {
  return /^file:$/i.test(text)
}

function readNetwork(text: string, scheme: string, rest: string, isSuffix: boolean): Pattern | Slip {
  const [, authority = '', path = ''] = /^\/\/([^/?#]*)(.*)$/s.exec(rest) ?? []
  if (authority === '')
    return { what: 'no host', fix: `write ${scheme}: for all of them, or ${scheme}://radio.example/` }
  if (/[?#]/.test(path)) return { what: 'a query', fix: 'end it before the ? or #: what follows is not looked at' }
  if (authority.includes('@')) return { what: 'a name to sign in with', fix: 'leave out what stands before the @' }
  const read = readAuthority(scheme, isSuffix ? authority.slice(2) : authority, path)
  const isName = read?.host.name !== undefined
  if (!read || (isSuffix && !isName)) {
    const fix = 'write a name such as radio.example, or an address such as 192.168.1.5 or [fd00::5]'
    return { what: 'not a host', fix }
  }
  return patternOf(text, { scheme, authority: read, rest: path }, isSuffix)
}

function patternOf(text: string, { scheme, authority, rest }: Parts, isSuffix = false): Pattern {
  const [exactly, roughly] = [trim(strict(scheme, rest)), trim(loose(rest))]
  const hasPort = /:\d+$/.test(/^[^/]*\/\/([^/]*)/.exec(text)?.[1] ?? '')
  const ends = scheme === pathScheme || scheme === 'file' ? /[/]/ : authority ? /[/?#]/ : /[:/?#]/

  const isAt = (there: Authority | undefined, isAnyPort: boolean): boolean => {
    if (!authority) return true
    if (!there || (!isAnyPort && there.port !== authority.port)) return false
    const [wanted, found] = [hostText(authority.host), hostText(there.host)]
    return isSuffix ? found.endsWith(`.${wanted}`) : found === wanted
  }

  return {
    text,
    host: isSuffix ? undefined : authority?.host,
    allows(uri) {
      const parts = takeApart(uri)
      if (parts?.scheme !== scheme || !isAt(parts.authority, false)) return false
      return exactly === '' || isBelow(strict(scheme, parts.rest), exactly, ends)
    },
    denies(uri) {
      const parts = takeApart(uri)
      if (parts?.scheme !== scheme || !isAt(parts.authority, !hasPort)) return false
      return roughly === '' || isBelow(loose(parts.rest), roughly, /[:/?#]/)
    },
  }
}

/** Whether all players take the address for the same. */
export function isPlain(uri: string): boolean {
  return takeApart(uri) !== undefined
}

/** Undefined for what players read in different ways. */
const takeApart = remembering((uri: string): Parts | undefined => {
  const scheme = schemeOf(uri)
  if (scheme === undefined) return undefined
  // MPD takes the whole of it for a path, whatever it begins with.
  if (scheme === pathScheme) return { scheme, rest: uri }
  const rest = uri.slice(scheme.length + 1)
  if (!isNetwork(scheme)) return scheme === 'file' && !/^\/\/\/[^/]/.test(rest) ? undefined : { scheme, rest }
  const [, text, after = ''] = /^\/\/([^/?#]*)(.*)$/s.exec(rest) ?? []
  const authority = text === undefined ? undefined : readAuthority(scheme, text, after)
  return authority && { scheme, authority, rest: after }
})

export function hostText(host: Host): string {
  return host.name ?? host.ip
}

function isBelow(rest: string, first: string, ends: RegExp): boolean {
  return rest.startsWith(first) && (rest.length === first.length || ends.test(rest.charAt(first.length)))
}

function trim(rest: string): string {
  return rest.replace(/[:/]$/, '')
}

/** A library path is what it is. */
function strict(scheme: string, rest: string): string {
  return scheme === pathScheme ? rest : encoded(rest)
}

/** RFC 3986 §6.2.2.2: what need not be encoded is not, and what must be is. */
const encoded = remembering((rest: string): string =>
  rest
    .replace(/%[0-9a-f]{2}/gi, (code) => {
      const character = String.fromCharCode(Number.parseInt(code.slice(1), 16))
      return /[A-Za-z0-9._~-]/.test(character) ? character : code.toUpperCase()
    })
    .replace(/[^\x21-\x7e]|["<>^`{|}]/gu, (character) => encodeURIComponent(character.toWellFormed())),
)

/** As the least particular of players and disks would read it. */
const loose = remembering((rest: string): string =>
  decode(rest)
    .normalize('NFKC')
    .toLowerCase()
    .replace(/[/\\]+/g, '/'),
)
