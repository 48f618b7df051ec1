import Type from 'typebox'
import { alarming, catalog, op, refuse, sending } from '../../call/catalog.ts'
import { optional, param } from '../../call/param.ts'
import type { Limits } from '../jsonrpc/message.ts'
import { answering, number, text } from '../rest/answer.ts'

/** Real pairings are 0.6 to 0.7 kB. */
export const pairingLimits: Limits = { bytes: 4096, depth: 1 }

/** RFC 4648 §4, with its padding: what decodes elsewhere must decode for everybody. */
const base64 = '^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$'

/** How many bytes a text of base64 stands for. */
function bytesOf(encoded: string): number {
  const padding = encoded.endsWith('==') ? 2 : encoded.endsWith('=') ? 1 : 0
  return (encoded.length / 4) * 3 - padding
}

/** A nonce of 16 bytes, something, and a checksum of 20: of less than that, players cut pieces that are not there. */
const Blob = Type.Refine(Type.String({ pattern: base64, maxLength: 4096 }), (blob) => bytesOf(blob) >= 37)
const ClientKey = Type.Refine(
  Type.String({ pattern: base64, minLength: 4, maxLength: 128 }),
  (key) => bytesOf(key) <= 96,
)

const Line = Type.String({ pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]+$', maxLength: 255 })
const Word = Type.String({ pattern: '^[A-Za-z0-9._:-]+$', maxLength: 128 })
const word = optional(param(Word))

/** What Spotify's apps send beside the four that count. */
const pairing = {
  action: param(Type.Literal('addUser')),
  userName: param(Line),
  blob: param(Blob),
  clientKey: param(ClientKey),
  deviceName: optional(param(Line)),
  deviceId: word,
  loginId: word,
  tokenType: word,
  version: word,
} as const

const info = {
  'GET /': op('status.read', { action: param(Type.Literal('getInfo')), version: word }),
} as const

/** The door by which Spotify's apps find a player and hand it to somebody. */
export const zeroconf = catalog('zeroconf', {
  ...info,
  'POST /': alarming(
    refuse('player.takeover', 'pairing takes a window that the owner opens: stagedoor pair PLAYER', pairing),
  ),
})

/** The same door while the owner holds it open: whoever comes first may pair, and needs no account here. */
export const zeroconfOpen = catalog('zeroconf', { ...info, 'POST /': sending('form', op('anyone', pairing)) })

const outcome = { status: number, statusString: Type.Optional(text), spotifyError: Type.Optional(number) } as const

/** Who is signed in there, its device's number and its key are left out: with them one could pair past this door. */
const Info = Type.Object({
  ...outcome,
  version: Type.Optional(text),
  remoteName: Type.Optional(text),
  deviceType: Type.Optional(text),
  libraryVersion: Type.Optional(text),
  brandDisplayName: Type.Optional(text),
  modelDisplayName: Type.Optional(text),
  groupStatus: Type.Optional(text),
})

/** The whole of what an app needs to pair, while the owner holds the door open. */
const OpenInfo = Type.Object({
  ...Info.properties,
  deviceID: Type.Optional(text),
  publicKey: Type.Optional(text),
  accountReq: Type.Optional(text),
  tokenType: Type.Optional(text),
  scope: Type.Optional(text),
  resolverVersion: Type.Optional(text),
  voiceSupport: Type.Optional(text),
  availability: Type.Optional(text),
})

/** What an answer may hold, by row. */
export const zeroconfAnswers = answering(zeroconf, { 'GET /': Info, 'POST /': Type.Object(outcome) })
export const zeroconfOpenAnswers = answering(zeroconfOpen, { 'GET /': OpenInfo, 'POST /': Type.Object(outcome) })
