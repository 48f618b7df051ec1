import { remembering } from './memo.ts'

/** What MPD calls a path in its own library has no scheme; in a policy it goes by this name. */
export const pathScheme = 'path'

/** No path and no address that somebody means is longer. */
export const longestUri = 4096

/** RFC 3986 §3.1, in either case: players compare it without regard to case. */
const scheme = /^([a-z][a-z0-9+.-]*):/i

/**
 * The scheme of a URI in lower case, `path` for a library path without one.
 *
 * Undefined for what players read in different ways (blanks in or before a URI, a leading `//`), so that a rule about
 * schemes cannot be talked around.
 */
export const schemeOf = remembering((uri: string): string | undefined => {
  // Python's URL parser, and so Mopidy, looks past blanks in front.
  const found = scheme.exec(uri.trimStart())?.[1]
  if (found === undefined) return uri.startsWith('//') ? undefined : pathScheme
  return /\s/u.test(uri) ? undefined : found.toLowerCase()
})

/** Whether a player would open a network connection to look at this URI. */
export function isStream(uri: string): boolean {
  return /^(?!file:)[a-z][a-z0-9+.-]*:\/\//i.test(uri.trim())
}

/**
 * Whether a URI keeps to the strict grammar that every operation demands of it: no control characters, no byte order
 * marks or bidirectional overrides, no absolute file path, and no dot segment, however often it was percent-encoded.
 */
export function isWellFormed(uri: string): boolean {
  if (!uri.isWellFormed() || /[\p{Cc}\p{Zl}\p{Zp}\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/u.test(uri)) return false
  if (uri.startsWith('/') && uri !== '/') return false
  let decoded = uri
  for (let round = 0; round < 4; round++) {
    // Mopidy-Local puts what follows behind its own directory, and an absolute path takes the place of that.
    if (/^local:[^/]*:\//i.test(decoded)) return false
    if (decoded.split(/[/\\:?#]/).some((segment) => segment === '.' || segment === '..')) return false
    const next = decoded.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    if (next === decoded) return !/\p{Cc}/u.test(decoded.replace(/[\x80-\x9f]/g, ''))
    decoded = next
  }
  return false // still encoded after four rounds: nobody's file name
}
