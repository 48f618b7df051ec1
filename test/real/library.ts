import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { crc32, deflateSync } from 'node:zlib'

export interface Tune {
  readonly path: string
  readonly artist: string
  readonly album: string
  readonly title: string
  readonly track: number
  readonly seconds: number
  /** As Mopidy-Local calls it. */
  readonly uri: string
}

const albums = [
  ['Anna Ring', 'First Light', ['Dawn', 'Noon', 'Dusk', 'Midnight']],
  ['Böse Buben', 'Äpfel & Birnen', ['Grüße aus "Köln"', 'Über den Dächern', 'Öl', 'Straße']],
  ['The Quiet Ones', 'Small Rooms', ['Hum', "Don't Wake Up", 'Back\\slash', 'Door: Closed?']],
] as const

/** What the generated library holds: twelve tones of 20 to 30 seconds. */
export const tunes: readonly Tune[] = albums.flatMap(([artist, album, titles], a) =>
  titles.map((title, t): Tune => {
    const file = `${String(t + 1).padStart(2, '0')} ${title.replace(/[^\p{L}\p{N} ]/gu, '_')}.flac`
    const path = [artist, album, file].join('/')
    const uri = `local:track:${path.split('/').map(quote).join('/')}`
    return { path, artist, album, title, track: t + 1, seconds: 20 + ((a * 4 + t) % 6) * 2, uri }
  }),
)

/** A picture beside the second album's tunes; the first album's is inside them. */
export const coverPath = 'Böse Buben/Äpfel & Birnen/cover.png'

/** As Python's urllib.parse.quote does, which Mopidy-Local writes its URIs with. */
function quote(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
}

const version = 2 // of what is generated: raise it and the cache is made anew
const cache = join(import.meta.dirname, '../../node_modules/.cache/stagedoor-real')

/** Makes the library once and keeps it. @returns its folder */
export function makeLibrary(): string {
  const folder = join(cache, `music-${version}`)
  if (existsSync(folder)) return folder
  const draft = `${folder}.${process.pid}`
  const picture = join(draft, 'cover.png')
  mkdirSync(draft, { recursive: true })
  writeFileSync(picture, png())
  const covered = join(draft, coverPath)
  mkdirSync(dirname(covered), { recursive: true })
  writeFileSync(covered, png())
  for (const [index, tune] of tunes.entries()) {
    const path = join(draft, tune.path)
    mkdirSync(dirname(path), { recursive: true })
    const tags = {
      ARTIST: tune.artist,
      ALBUMARTIST: tune.artist,
      ALBUM: tune.album,
      TITLE: tune.title,
      TRACKNUMBER: tune.track,
      DATE: 2020,
      GENRE: 'Test',
    }
    const args = Object.entries(tags).map(([key, value]) => `--tag=${key}=${value}`)
    if (tune.album === 'First Light') args.push(`--picture=${picture}`)
    const { status, stderr } = spawnSync('flac', ['--silent', '--force', ...args, '-o', path, '-'], {
      input: tone(220 + index * 20, tune.seconds),
    })
    if (status !== 0) throw new Error(`flac could not write ${path}: ${stderr}`)
  }
  rmSync(picture)
  try {
    renameSync(draft, folder)
  } catch (error) {
    rmSync(draft, { recursive: true }) // somebody else was faster
    if (!existsSync(folder)) throw error
  }
  return folder
}

/** A sine wave as WAV: mono, 16 bit, 8 kHz. */
function tone(hertz: number, seconds: number): Buffer {
  const rate = 8000
  const data = Buffer.alloc(rate * seconds * 2)
  for (let i = 0; i < rate * seconds; i++)
    data.writeInt16LE(Math.round(8000 * Math.sin((2 * Math.PI * hertz * i) / rate)), i * 2)
  const head = Buffer.alloc(44)
  head.write('RIFF', 0)
  head.writeUInt32LE(36 + data.length, 4)
  head.write('WAVEfmt ', 8)
  head.writeUInt32LE(16, 16)
  head.writeUInt16LE(1, 20) // PCM
  head.writeUInt16LE(1, 22)
  head.writeUInt32LE(rate, 24)
  head.writeUInt32LE(rate * 2, 28)
  head.writeUInt16LE(2, 32)
  head.writeUInt16LE(16, 34)
  head.write('data', 36)
  head.writeUInt32LE(data.length, 40)
  return Buffer.concat([head, data])
}

/** A picture of noise, 112 × 112, larger than four binary pieces of MPD. */
function png(): Buffer {
  const size = 112
  const rows = Buffer.alloc(size * (1 + size * 3))
  for (let i = 0, seed = 1; i < rows.length; i++) {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0
    rows[i] = i % (1 + size * 3) === 0 ? 0 : seed >>> 24
  }
  const head = Buffer.from([0, 0, 0, size, 0, 0, 0, size, 8, 2, 0, 0, 0])
  const chunk = (type: string, data: Buffer) => {
    const body = Buffer.concat([Buffer.from(type), data])
    const out = Buffer.alloc(body.length + 8)
    out.writeUInt32BE(data.length, 0)
    body.copy(out, 4)
    out.writeUInt32BE(crc32(body), body.length + 4)
    return out
  }
  const signature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1')
  return Buffer.concat([
    signature,
    chunk('IHDR', head),
    chunk('IDAT', deflateSync(rows)),
    chunk('IEND', Buffer.alloc(0)),
  ])
}
