/** What a player says of an error, without the places of its files: those are nobody's business. */
export function hidePaths(text: string): string {
  return text
    .slice(0, 500)
    .replace(/(['"])(?:file:\/\/)?\/[^'"]*(?:\1|$)/g, '$1…$1')
    .replace(/(^|[\s(=<[,]|file:\/\/)\/[^\s'")>\],]+/g, '$1…')
}
