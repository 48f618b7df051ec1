/** What a file of a web client may be called, once decoded: no dot files, nothing that some file system reads otherwise. */
const fileName = /^(?![.\s])[\p{L}\p{N} .~_@+,()!$'&=:-]{1,255}(?<![.\s])$/u

/** RFC 3986 §3.3, without the `;` of path parameters: some servers cut a segment there, others do not. */
const rawSegment = /^(?:[A-Za-z0-9._~!$&'()*+,=:@-]|%[0-9A-Fa-f]{2})*$/

/**
 * The segments of a path as it stands in the request line, decoded once; a last one that is empty says it is a directory.
 *
 * Undefined for whatever two parsers could take for two paths: dot segments, encoded slashes, backslashes and percent signs,
 * control characters, empty segments, what is not UTF-8, what is too long.
 */
export function readPath(path: string): readonly string[] | undefined {
  if (path.length > 2048 || !path.startsWith('/')) return undefined
  const raw = path.slice(1).split('/')
  if (raw.length > 16) return undefined
  const segments: string[] = []
  for (const [i, part] of raw.entries()) {
    const isLast = i === raw.length - 1
    if (part === '' && isLast) segments.push('')
    else {
      const segment = rawSegment.test(part) ? decoded(part) : undefined
      if (segment === undefined || !fileName.test(segment)) return undefined
      segments.push(segment)
    }
  }
  return segments
}

function decoded(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment)
  } catch {
    return undefined
  }
}

/** A path of our own writing. Undoes `readPath`. */
export function writePath(segments: readonly string[]): string {
  return `/${segments.map(encodeURIComponent).join('/')}`
}
