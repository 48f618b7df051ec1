import { Agent } from 'undici'
import { type Call, personOf } from '../call/call.ts'
import { messageOf } from '../call/fault.ts'

/** Somebody who hears of alarms: a web server that takes JSON, or a topic of ntfy. */
export type Target = { readonly webhook: string } | { readonly ntfy: string }

export interface Notify {
  /** Tells everybody of a refused call, unless its caller was told of within the hour. Neither throws nor waits. */
  tell(call: Call): void
  /** Tells everybody that the volume of a player cannot be kept below its room's ceiling, likewise. */
  tellContest(player: string): void
  close(): Promise<void>
}

const defaults = {
  /** Of one person we speak once in this time. */
  quietMs: 3_600_000,
  /** Persons we speak of in that time: who has many accounts must not make us flood somebody. */
  persons: 60,
  inFlight: 4,
  deadlineMs: 5_000,
}
export type NotifyLimits = Readonly<typeof defaults>

/** Nothing of what was asked with it: arguments are the caller's words. */
interface Alarm {
  readonly kind: 'alarm'
  readonly who: string
  readonly door: string
  readonly player: string
  readonly operation: string
  /** ISO 8601, UTC. */
  readonly at: string
}

/** Somebody turns it up again and again, past the gateway. */
interface Contest {
  readonly kind: 'contest'
  readonly player: string
  /** ISO 8601, UTC. */
  readonly at: string
}

interface Message {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export function createNotify(deps: {
  /** Those that hear of an alarm of this moment. */
  targets(): readonly Target[]
  /** Unix ms. */
  now(): number
  readonly log: { warn(about: object, text: string): void }
  readonly limits?: Partial<NotifyLimits>
}): Notify {
  const { targets, now, log } = deps
  const limits = { ...defaults, ...deps.limits }
  const agent = new Agent({
    connect: { timeout: limits.deadlineMs },
    pipelining: 1,
    keepAliveTimeout: 1_000,
    maxHeaderSize: 16 * 1024,
    allowH2: false,
  })
  /** When each person was told of, the longest ago first. */
  const told = new Map<string, number>()
  const waiting: Message[] = []
  const ended = new AbortController()
  let inFlight = 0

  function isNews(person: string, at: number): boolean {
    for (const [other, then] of told) {
      // One of the future is of a clock that has been set back since.
      if (then > at || at - then >= limits.quietMs) told.delete(other)
    }
    if (told.has(person)) return false
    if (told.size >= limits.persons) {
      log.warn({ persons: told.size }, 'an alarm of one person more is told to nobody: see the audit')
      return false
    }
    told.set(person, at)
    return true
  }

  /** @param about who or what it is of */
  function spread(about: string, news: Alarm | Contest): void {
    const all = targets()
    if (all.length === 0 || ended.signal.aborted || !isNews(about, now())) return
    waiting.push(...all.map((target) => messageTo(target, news)))
    next()
  }

  function next(): void {
    while (inFlight < limits.inFlight && !ended.signal.aborted) {
      const message = waiting.shift()
      if (!message) return
      inFlight++
      send(message)
        // The rest of an address is as good as a password.
        .catch((error: unknown) =>
          log.warn({ host: message.url.host, reason: messageOf(error) }, 'an alarm was not told'),
        )
        .finally(() => {
          inFlight--
          next()
        })
    }
  }

  async function send({ url, headers, body }: Message): Promise<void> {
    const signal = AbortSignal.any([ended.signal, AbortSignal.timeout(limits.deadlineMs)])
    const { origin, pathname, search } = url
    // A redirect is an answer like others: nobody is told of it elsewhere.
    const answer = await agent.request({ origin, path: `${pathname}${search}`, method: 'POST', headers, body, signal })
    answer.body.on('error', () => {})
    answer.body.destroy()
    if (answer.statusCode < 200 || answer.statusCode > 299) throw new Error(`answered with ${answer.statusCode}`)
  }

  return {
    tell: (call) => spread(personOf(call.by), alarmOf(call)),
    tellContest(player) {
      spread(`contest ${player}`, { kind: 'contest', player: clean(player), at: new Date(now()).toISOString() })
    },
    async close() {
      waiting.length = 0
      ended.abort()
      await agent.destroy()
    },
  }
}

function alarmOf({ by, door, player, operation, at }: Call): Alarm {
  return {
    kind: 'alarm',
    who: clean(by.kind === 'user' ? by.name : by.from),
    door,
    player: clean(player),
    operation: clean(operation.name),
    at: new Date(at).toISOString(),
  }
}

function messageTo(target: Target, news: Alarm | Contest): Message {
  if ('webhook' in target) {
    return {
      url: new URL(target.webhook),
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(news),
    }
  }
  const [title, tags] = news.kind === 'alarm' ? ['alarm', 'rotating_light'] : ['volume', 'loud_sound']
  return {
    url: new URL(target.ntfy),
    headers: { 'content-type': 'text/plain; charset=utf-8', title: `Stagedoor: ${title}`, tags },
    body: sentenceOf(news),
  }
}

function sentenceOf(news: Alarm | Contest): string {
  const { player, at } = news
  if (news.kind === 'contest') return `The volume at ${player} is turned up again and again above its ceiling. ${at}`
  return `${news.who} tried ${news.operation} at ${player} (${news.door}), which is refused. ${at}`
}

/** Short, and on one line. */
function clean(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '').slice(0, 100)
}
