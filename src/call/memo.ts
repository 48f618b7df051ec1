/** The same reading for the same thing as the last one: of one call's address, or its queue, many grants ask the same. */
export function remembering<Of, T>(read: (of: Of) => T): (of: Of) => T {
  let last: { readonly of: Of; readonly found: T } | undefined
  return (of) => {
    if (last === undefined || last.of !== of) last = { of, found: read(of) }
    return last.found
  }
}
