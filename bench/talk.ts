/** What a client says in its protocol, and how it finds the ends of the answers. */
export interface Talk {
  /** Whether the other side speaks first. */
  readonly greeted: boolean
  /** Sent once, each answered before the next. */
  readonly hello: readonly Buffer[]
  /** What a client, by its number, asks in its turn, by the number of that. */
  question(client: number, turn: number): Buffer
  /** How many answers one question brings. */
  readonly answers: number
  createCount(): Count
}

/** Counts the answers whose last byte is in the chunk. @throws on an answer that says no */
export type Count = (chunk: Buffer) => number

const none: Buffer = Buffer.alloc(0)

/** One JSON-RPC question over HTTP with keep-alive. */
export function talkHttp(authorization?: string): Talk {
  const body = '{"jsonrpc":"2.0","id":1,"method":"core.playback.get_state"}'
  const head = [
    'POST /mopidy/rpc HTTP/1.1',
    'Host: localhost',
    'Content-Type: application/json',
    `Content-Length: ${body.length}`,
    ...(authorization ? [`Authorization: ${authorization}`] : []),
  ]
  const question = Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`)
  return { greeted: false, hello: [], question: () => question, answers: 1, createCount: countResponses }
}

function countResponses(): Count {
  let rest = none
  return (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    for (let count = 0; ; count++) {
      const end = rest.indexOf('\r\n\r\n')
      if (end < 0) return count
      const header = rest.toString('latin1', 0, end)
      if (!header.startsWith('HTTP/1.1 200')) throw new Error(header.slice(0, 200))
      const total = end + 4 + Number(/content-length: (\d+)/i.exec(header)?.[1])
      if (rest.length < total) return count
      if (rest.includes('"error"')) throw new Error(rest.toString('utf8', end + 4, total))
      rest = rest.subarray(total)
    }
  }
}

/** What is said before the first question of an MPD client. */
const signIn = (token?: string) => (token === undefined ? [] : [Buffer.from(`password ${token}\n`)])

/**
 * Commands of MPD that answer lines of text.
 *
 * @param command what the client of that number asks
 * @param depth how many times it is written before an answer is waited for
 */
export function talkMpd(token: string | undefined, command: (client: number) => string, depth = 1): Talk {
  const questions: Buffer[] = []
  return {
    greeted: true,
    hello: signIn(token),
    question: (client) => (questions[client] ??= Buffer.from(`${command(client)}\n`.repeat(depth))),
    answers: depth,
    createCount: countLines,
  }
}

const ok = Buffer.from('OK\n')
const ack = Buffer.from('ACK [')
const LF = 0x0a

/** Looks for the ends and builds no text: there may be tens of thousands a second. */
function countLines(): Count {
  let rest = none
  return (chunk) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    const begins = (at: number) => at === 0 || bytes[at - 1] === LF
    const refused = bytes.indexOf(ack)
    if (refused >= 0 && begins(refused)) throw new Error(bytes.toString('utf8', refused, refused + 200).trim())
    let count = 0
    for (let at = bytes.indexOf(ok); at >= 0; at = bytes.indexOf(ok, at + ok.length)) if (begins(at)) count++
    rest = bytes[bytes.length - 1] === LF ? none : bytes.subarray(bytes.lastIndexOf(LF) + 1)
    return count
  }
}

/** A picture, fetched from its first byte to its last and then again, in pieces of so many bytes. */
export function talkArt(token: string | undefined, picture: { uri: string; bytes: number }, piece: number): Talk {
  const pieces = Math.ceil(picture.bytes / piece)
  const questions = Array.from({ length: pieces }, (_, i) => Buffer.from(`albumart "${picture.uri}" ${i * piece}\n`))
  return {
    greeted: true,
    hello: [...signIn(token), Buffer.from(`binarylimit ${piece}\n`)],
    question: (_client, turn) => questions[turn % pieces] ?? none,
    answers: 1,
    createCount: countPieces,
  }
}

/** Goes by the size that the answer announces, as a picture may hold anything. */
function countPieces(): Count {
  let head = none
  let missing = 0
  return (chunk) => {
    let count = 0
    for (let at = 0; at < chunk.length; ) {
      if (missing === 0) {
        const known = head.length
        head = Buffer.concat([head, chunk.subarray(at, at + longestHead)])
        missing = lengthOf(head)
        if (missing === 0) break // the rest of the head is still to come
        at -= known
        head = none
      }
      const took = Math.min(missing, chunk.length - at)
      at += took
      missing -= took
      if (missing === 0) count++
    }
    return count
  }
}

const longestHead = 100

/** Of a whole answer by its first bytes; 0 while they do not say. */
function lengthOf(head: Buffer): number {
  const text = head.toString('latin1')
  if (text.startsWith('OK\n')) return ok.length
  const [before, size] = /^(?:\w+: [^\n]*\n)*?binary: (\d+)\n/.exec(text) ?? []
  // The piece is followed by a line feed and the last line.
  if (before !== undefined) return before.length + Number(size) + 1 + ok.length
  if (text.startsWith('ACK') || head.length >= longestHead) throw new Error(text.trim())
  return 0
}
