/**
 * What a player or a stranger calls something, fit to be shown: one line without control characters and marks that turn
 * the direction of reading, of at most so many UTF-16 units.
 */
export function clean(text: string, length: number): string {
  const line = text
    .slice(0, length * 2)
    .toWellFormed()
    .replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ')
    .replace(/[\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g, '')
  // Cutting may halve a pair.
  return line.slice(0, length).replace(/[\ud800-\udbff]$/, '')
}
