import Type from 'typebox'

const digits = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'

/** Whether 22 characters are the base62 number of an id: a larger one ends some players. */
export function isId(text: string): boolean {
  if (!/^[0-9A-Za-z]{22}$/.test(text)) return false
  let number = 0n
  for (const digit of text) number = number * 62n + BigInt(digits.indexOf(digit))
  return number < 2n ** 128n
}

function address(kinds: readonly string[]) {
  const shape = Type.String({ pattern: `^spotify:(?:${kinds.join('|')}):[0-9A-Za-z]{22}$`, maxLength: 39 })
  return Type.Refine(shape, (uri) => isId(uri.slice(-22)))
}

/** Something that is played by itself. */
export const TrackUri = address(['track', 'episode'])
/** Something that takes the place of the queue. */
export const ContextUri = address(['track', 'episode', 'album', 'artist', 'playlist', 'show'])
