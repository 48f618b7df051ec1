import { createPrivateKey, sign } from 'node:crypto'
import { ask } from './clients.ts'
import type { House, Person } from './harness.ts'

export type Json = Readonly<Record<string, unknown>>

/** The gateway's own access token for somebody, and what it takes to write others that are as good or as bad. */
export interface Forge {
  readonly token: string
  readonly refresh: string
  readonly header: Json
  readonly claims: Json
  /** A token with the gateway's own signature under whatever is in it. */
  make(change?: { header?: Json; claims?: Json; without?: string }): string
  /** Any text as a token, signed by `by`, or with the gateway's own key. */
  signed(header: unknown, payload: unknown, by?: (text: string) => Buffer | string): string
}

const encode = (part: unknown) =>
  Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url')
const decode = (part = '') => JSON.parse(Buffer.from(part, 'base64url').toString())

/** Signs somebody in, and takes the signing key from the database as only its owner could. */
export async function openForge(house: House, { name, password }: Person, from = house.address()): Promise<Forge> {
  const { json } = await ask(house, '/auth/login', { json: { username: name, password }, from })
  const [token, refresh] = [String(json.access_token), String(json.refresh_token)]
  const [key] = house.accounts.keys()
  if (!key) throw new Error('no key')
  const secret = createPrivateKey({ key: key.jwk, format: 'jwk' })
  const [header, claims] = token.split('.').map((part, i) => (i < 2 ? decode(part) : undefined))
  for (const one of [token, refresh]) house.keep(one)
  const signed: Forge['signed'] = (head, payload, by = (text) => sign(null, Buffer.from(text), secret)) => {
    const text = `${encode(head)}.${encode(payload)}`
    return house.keep(`${text}.${Buffer.from(by(text)).toString('base64url')}`)
  }
  return {
    token,
    refresh,
    header,
    claims,
    signed,
    make({ header: head, claims: more, without } = {}) {
      const all = { ...claims, ...more }
      if (without !== undefined) delete all[without]
      return signed({ ...header, ...head }, all)
    },
  }
}

/** What the gateway says to a token at the door that says most: 200 or 401. */
export async function show(house: House, token: string): Promise<number> {
  return (await ask(house, '/auth/me', { headers: { authorization: `Bearer ${token}` } })).status
}
