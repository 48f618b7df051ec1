import { remembering } from './memo.ts'
import { longestUri } from './uri.ts'

/** A host as every player reads it: a name in small letters without a dot at its end, or an IP address in its one spelling. */
export type Host = { readonly name: string; readonly ip?: never } | { readonly ip: string; readonly name?: never }

/** Where something on the network is. */
export interface Authority {
  readonly host: Host
  /** Empty for the one that goes without saying, or where none is given. */
  readonly port: string
}

/** Kinds of address that make a player open a connection to the host in them; with others joined on by `+` as well. */
const network = new RegExp(
  `^(?:${[
    'https?|ftps?|mms[a-z]*|rtsp[a-z]*|s?rtp|rtmp[a-z]*|nfs|smb|cifs|afp|davs?|webdavs?|tcp|udp(?:lite)?|tls|srt',
    'sctp|sftp|scp|ssh|gophers?|icyx?|wss?|hls|dash|unix',
  ].join('|')})$`,
)
const defaultPorts: Readonly<Record<string, string>> = {
  ...{ http: '80', https: '443', ftp: '21', ftps: '990', mms: '1755', rtsp: '554', rtmp: '1935', rtmps: '443' },
  ...{ nfs: '2049', smb: '445', dav: '80', davs: '443', sftp: '22', gopher: '70' },
}

/** Whether addresses of this kind name a host that the player goes to. */
export function isNetwork(scheme: string): boolean {
  return scheme.split('+').some((part) => network.test(part))
}

/**
 * The host of this spelling; undefined for what players read in different ways, or not at all: an IP address that is not
 * in its usual form, anything encoded, letters that become others.
 */
export function readHost(text: string): Host | undefined {
  const bracketed = /^\[([0-9a-f:.]+)\]$/i.exec(text)
  // What IDNA has read in two ways since 2008 is left out.
  if (!bracketed && (!/^[\p{L}\p{M}\p{N}_.-]+$/u.test(text) || /[ßẞς]/.test(text))) return undefined
  const hostname = URL.parse(`http://${text}/`)?.hostname
  if (hostname === undefined) return undefined
  if (bracketed) return { ip: hostname.slice(1, -1) }
  // Decimal, octal, hexadecimal, short, with a dot at its end: whatever it is for one, it is something else for another.
  if (isIpv4(hostname)) return hostname === text ? { ip: hostname } : undefined
  const name = hostname.replace(/\.$/, '')
  const isName = name.length <= 253 && name.split('.').every((label) => /^[a-z0-9_](?:[a-z0-9_-]{0,62})$/.test(label))
  return isName ? { name } : undefined
}

/**
 * Host and port of what stands between `//` and the path.
 *
 * @param after what comes behind it, from the `/`, `?` or `#` on
 */
export function readAuthority(scheme: string, text: string, after: string): Authority | undefined {
  // Some look for the `@` in what is a query or a fragment to others.
  if (/[%\\\s]/u.test(text) || (/^[?#]/.test(after) && after.includes('@'))) return undefined
  const [, host = '', digits = ''] = /^(?:[^@[\]]*@)?(\[[^@[\]]*\]|[^@:[\]]*)(?::(\d{0,5}))?$/u.exec(text) ?? []
  const read = readHost(host)
  const port = digits === '' ? '' : String(Number(digits))
  if (!read || port === '0' || Number(port) > 65_535) return undefined
  const own = defaultPorts[scheme.split('+').at(-1) ?? '']
  return { host: read, port: port === own ? '' : port }
}

/**
 * The hosts to which a player would go for this address, wherever in it they stand; undefined in the place of each that
 * players read in different ways.
 */
export const hostsIn = remembering((uri: string): readonly (Host | undefined)[] => {
  const text = uri.trim()
  const [, own] = /^([a-z][a-z0-9+.-]*):/i.exec(text) ?? []
  if (own !== undefined && isNetwork(own.toLowerCase())) {
    return text.startsWith('//', own.length + 1) ? [authorityAt(text, own.length + 1)] : [undefined]
  }
  // `yt:https://…`: what looks like a name of something else may be an address to a part of the player.
  if (!text.includes('//') && !encodedSlash.test(text)) return none
  if (text.length > longestUri) return [undefined]
  const decoded = decode(text)
  return [text, ...(decoded === text ? [] : [decoded])].flatMap((each) => [...hostsWithin(each)])
})

const none: readonly Host[] = []
/** However often it was encoded. */
const encodedSlash = /%(?:25)*2f/i

/** Addresses within one: nobody means more, and each is work. */
const mostWithin = 16

function* hostsWithin(text: string): Generator<Host | undefined> {
  let left = mostWithin
  for (let at = text.indexOf('://'); at >= 0; at = text.indexOf('://', at + 3)) {
    if (left-- === 0) return yield undefined
    let from = at
    while (from > 0 && /[A-Za-z0-9+.-]/.test(text[from - 1] as string)) from--
    const scheme = text.slice(from, at).toLowerCase()
    const host = authorityAt(text, at + 1)
    // What else has two slashes names things of its own: a server by its number, a sound card. An IP address is one.
    if (isNetwork(scheme) || host?.ip !== undefined || (!host && looksLikeIp(text, at + 3))) yield host
  }
}

function authorityAt(text: string, at: number): Host | undefined {
  const rest = text.slice(at + 2)
  const length = rest.search(/[/?#]/)
  const authority = length < 0 ? rest : rest.slice(0, length)
  return readAuthority('', authority, length < 0 ? '' : rest.slice(length))?.host
}

/** Whether some player would take what begins here for an IP address, whatever its spelling. */
function looksLikeIp(text: string, at: number): boolean {
  const [authority = ''] = text.slice(at).split(/[/?#]/, 1)
  const host = decode(authority.slice(authority.lastIndexOf('@') + 1))
  const hostname = URL.parse(`http://${host}/`)?.hostname ?? ''
  return host.startsWith('[') || isIpv4(hostname)
}

/** Without percent-encoding, however often it was encoded. */
export function decode(text: string): string {
  let decoded = text
  for (let round = 0; round < 5; round++) {
    const next = decoded.replace(/(?:%[0-9a-f]{2})+/gi, decodeRun)
    if (next === decoded) break
    decoded = next
  }
  return decoded
}

function decodeRun(run: string): string {
  try {
    return decodeURIComponent(run)
  } catch {
    return run.replace(/%([0-7][0-9a-f])/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  }
}

/** Names that mean this machine without anybody being asked. */
export function isLocalName(name: string): boolean {
  return /(?:^|\.)localhost(?:\.localdomain)?$/.test(name)
}

/**
 * IPv4 addresses that are somebody's own: private, of this machine, of this link, of providers' own networks, reserved,
 * for many at once (RFC 6890, RFC 5771), and where one provider of machines tells them their secrets.
 */
const closed4 = [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.0.0.0/24'],
  ...['192.0.2.0/24', '192.88.99.0/24', '192.168.0.0/16', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24'],
  ...['224.0.0.0/4', '240.0.0.0/4', '168.63.129.16/32'],
].map((range) => {
  const [first = '', length = ''] = range.split('/')
  return { first: number4(first) ?? 0, shift: 32 - Number(length) }
})

/** Of the public IPv6 addresses, those that are for examples, measurements and tunnels. */
const closed6 = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['3fff::', 20],
] as const
/** IPv6 addresses that stand for an IPv4 one, and how far behind their beginning it is. */
const carriers = [
  ['::ffff:0:0', 96, 0n],
  ['64:ff9b::', 96, 0n],
  ['2002::', 16, 80n],
] as const

/** Whether an IP address is the same host for everybody on the internet. What is none, or has a zone, is not. */
export function isPublic(ip: string): boolean {
  const four = number4(ip)
  if (four !== undefined) return !closed4.some(({ first, shift }) => four >>> shift === first >>> shift)
  const six = number6(ip)
  if (six === undefined) return false
  for (const [first, length, behind] of carriers) {
    if (begins(six, first, length)) return isPublic(write4(Number((six >> behind) & 0xffff_ffffn)))
  }
  return begins(six, '2000::', 3) && !closed6.some(([first, length]) => begins(six, first, length))
}

function isIpv4(hostname: string): boolean {
  return /^\d{1,3}(?:\.\d{1,3}){3}$/.test(hostname)
}

function number4(text: string): number | undefined {
  if (!isIpv4(text)) return undefined
  const bytes = text.split('.').map(Number)
  return bytes.every((byte) => byte < 256) ? bytes.reduce((sum, byte) => sum * 256 + byte, 0) : undefined
}

function write4(number: number): string {
  return [24, 16, 8, 0].map((shift) => (number >>> shift) & 255).join('.')
}

function number6(text: string): bigint | undefined {
  // The URL parser writes an IPv4 tail as two groups, and the longest row of zeros as `::`.
  const hostname = /^[0-9a-f:.]+$/i.test(text) ? URL.parse(`http://[${text}]/`)?.hostname : undefined
  if (hostname === undefined) return undefined
  const [head = '', tail] = hostname.slice(1, -1).split('::')
  const groups = (part = '') => (part === '' ? [] : part.split(':'))
  const zeros = tail === undefined ? 0 : 8 - groups(head).length - groups(tail).length
  const all = [...groups(head), ...Array<string>(zeros).fill('0'), ...groups(tail)]
  return all.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n)
}

const firsts = new Map<string, bigint>()

function begins(six: bigint, first: string, length: number): boolean {
  const known = firsts.get(first) ?? number6(first) ?? 0n
  firsts.set(first, known)
  const rest = BigInt(128 - length)
  return six >> rest === known >> rest
}
