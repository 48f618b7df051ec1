import { Agent } from 'undici'
import { type Call, personOf } from '../call/call.ts'
import { messageOf } from '../call/fault.ts'

/** Somebody who hears of alarms: a web server that takes JSON, or a topic of ntfy. */
export type Target = { readonly webhook: string } | { readonly ntfy: string }

export interface Notify {
  /** Tells everybody of a refused call, unless its caller was told of within the hour. Neither throws nor waits. */
  tell(call: Call): void
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

interface Message {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export function createNotify(deps: {
  readonly targets: readonly Target[]
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
    tell(call) {
      if (targets.length === 0 || ended.signal.aborted || !isNews(personOf(call.by), now())) return
      const alarm = alarmOf(call)
      waiting.push(...targets.map((target) => messageTo(target, alarm)))
      next()
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

function messageTo(target: Target, alarm: Alarm): Message {
  if ('webhook' in target) {
    return {
      url: new URL(target.webhook),
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(alarm),
    }
  }
  const { who, door, player, operation, at } = alarm
  return {
    url: new URL(target.ntfy),
    headers: { 'content-type': 'text/plain; charset=utf-8', title: 'Stagedoor: alarm', tags: 'rotating_light' },
    body: `${who} tried ${operation} at ${player} (${door}), which is refused. ${at}`,
  }
}

/** Short, and on one line. */
function clean(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '').slice(0, 100)
}
