import { errors, Pool } from 'undici'
import { Fault, messageOf } from '../call/fault.ts'
import type { Encoded } from '../protocol/rest/encode.ts'

export interface Answer {
  readonly status: number
  /** The media type in lower case, without its parameters; empty when it was not said. */
  readonly type: string
  readonly text: string
  /** Seconds that the player asks for. */
  readonly retryAfter: number | undefined
}

export interface ExchangeLimits {
  /** Connections, each with one question at a time. */
  readonly running: number
  readonly connectMs: number
  /** After this the connection is given up, so that the next question gets another. */
  readonly holdMs: number
  readonly questionBytes: number
  readonly answerBytes: number
}

/** One question and its answer over plain HTTP, and never a second attempt: nobody knows what became of the first. */
export interface Exchange {
  /**
   * @param fields of the header, of our own writing
   * @throws Fault `player-unreachable`, `player-timeout` or `too-large`; the last one before anything is sent
   */
  ask(question: Encoded, fields?: Readonly<Record<string, string>>): Promise<Answer>
  close(): Promise<void>
}

const acceptance = { accept: 'application/json', 'accept-encoding': 'identity' }

/**
 * The way to a web server of a player: no redirects, no cookies, no compression, no proxies, and no header that is not
 * written here.
 *
 * @param origin such as `http://127.0.0.1:3678`
 */
export function createExchange(origin: URL, limits: ExchangeLimits): Exchange {
  const pool = new Pool(origin.origin, {
    connections: limits.running,
    // Only what has a connection of its own is surely sent once.
    pipelining: 1,
    connect: { timeout: limits.connectMs },
    headersTimeout: 0,
    bodyTimeout: 0,
    keepAliveTimeout: 4_000,
    keepAliveMaxTimeout: 4_000,
    maxHeaderSize: 16 * 1024,
    allowH2: false,
  })

  async function ask({ method, path, contentType, body }: Encoded, fields = {}): Promise<Answer> {
    if (Buffer.byteLength(body ?? '') > limits.questionBytes) {
      throw new Fault('too-large', 'more than the player is sent')
    }
    if (!isMethod(method)) throw new Fault('internal', `nobody sends ${method}`)
    const patience = AbortSignal.timeout(limits.holdMs)
    try {
      const response = await pool.request({
        method,
        path,
        headers: { ...fields, ...acceptance, ...(contentType !== undefined && { 'content-type': contentType }) },
        body: body ?? null,
        signal: patience,
      })
      const { headers, statusCode: status } = response
      response.body.on('error', () => {})
      const wrong = refusalOf(headers, limits.answerBytes)
      if (wrong) {
        response.body.destroy()
        throw new Fault('player-unreachable', wrong)
      }
      const text = await readText(response.body, limits.answerBytes)
      return { status, type: typeOf(headers['content-type']), text, retryAfter: secondsOf(headers['retry-after']) }
    } catch (error) {
      throw faultOf(error)
    }
  }

  return { ask, close: () => pool.destroy() }
}

function isMethod(method: string): method is 'GET' | 'POST' | 'DELETE' {
  return method === 'GET' || method === 'POST' || method === 'DELETE'
}

/** @throws Fault `player-unreachable` */
export function parseAnswer(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new Fault('player-unreachable', 'the player gave an answer that cannot be understood', { cause })
  }
}

type Headers = Readonly<Record<string, string | string[] | undefined>>

/** Why an answer is not even read. */
function refusalOf(headers: Headers, most: number): string | undefined {
  const encoding = headers['content-encoding']
  if (encoding !== undefined && encoding !== 'identity') return 'the player compresses, which nobody asked for'
  if (Number(headers['content-length'] ?? 0) > most) return 'the player sent more than it was asked for'
  return undefined
}

/** @throws Fault when it goes on beyond `most` bytes, or is no text */
async function readText(body: AsyncIterable<Uint8Array>, most: number): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.length
    if (bytes > most) throw new Fault('player-unreachable', 'the player sent more than it was asked for')
    chunks.push(chunk)
  }
  try {
    return utf8.decode(Buffer.concat(chunks))
  } catch (cause) {
    throw new Fault('player-unreachable', 'the player sent what is no text', { cause })
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

function typeOf(header: string | string[] | undefined): string {
  const [type = ''] = [header].flat()[0]?.split(';') ?? []
  return type.trim().toLowerCase()
}

/** Seconds; what is a date or nonsense counts as nothing said. */
function secondsOf(header: string | string[] | undefined): number | undefined {
  const [text = ''] = [header].flat()
  return /^\d{1,5}$/.test(text) ? Math.min(Math.max(Number(text), 1), 300) : undefined
}

/** What went wrong on the way to a web server of a player. */
export function faultOf(error: unknown): Fault {
  if (error instanceof Fault) return error
  const isLate =
    error instanceof errors.HeadersTimeoutError || (error instanceof Error && error.name === 'TimeoutError')
  if (isLate) return new Fault('player-timeout', 'the player did not answer in time', { cause: error })
  const isUnheard = error instanceof errors.ConnectTimeoutError || /ECONNREFUSED|EHOSTUNREACH/.test(messageOf(error))
  const why = isUnheard ? 'the player cannot be reached' : 'the connection to the player broke'
  return new Fault('player-unreachable', why, { cause: error, retryAfter: 1 })
}
