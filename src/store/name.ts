/**
 * The form in which names are compared: two that look alike to a reader are one account.
 *
 * Upper case first, as full case folding would (ß = ss, final sigma = sigma).
 */
export function fold(name: string): string {
  return name.normalize('NFKC').toUpperCase().toLowerCase().normalize('NFKC')
}

/** No colon (HTTP Basic splits there), and nothing that a log or a terminal could take for something else. */
export function isName(name: string): boolean {
  return (
    name.isWellFormed() &&
    /^[\p{L}\p{N}][\p{L}\p{M}\p{N} ._@+'-]{0,63}$/u.test(name.normalize('NFKC')) &&
    !/ $/.test(name)
  )
}
