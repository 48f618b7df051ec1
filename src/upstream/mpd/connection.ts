import { Fault } from '../../call/fault.ts'
import { addsToQueue } from '../../call/queue.ts'
import { isPermit, type Permit } from '../../policy/decide.ts'
import { encode } from '../../protocol/mpd/decode.ts'
import { pictures } from '../../protocol/mpd/reply.ts'
import type { MpdConnection, MpdPerson, Settings } from '../player.ts'
import type { Errands } from './errand.ts'
import type { Client, Job } from './job.ts'
import { type Frame, gone, type Line, plain } from './line.ts'
import { createPin, type Pin } from './pin.ts'
import type { Pool } from './pool.ts'
import type { TakeSeat } from './seat.ts'
import type { Journey, Shares } from './share.ts'
import { type Tuning, tune, unsure, untuned } from './tuning.ts'

/** What all connections to one player have in common. */
export interface House {
  readonly pool: Pool
  readonly errands: Errands
  readonly shares: Shares
  readonly takeSeat: TakeSeat
  readonly limits: { readonly answerMs: number; readonly costlyMs: number; readonly retryMostMs: number }
  now(): number
  /** Whether every change is seen, so that reads may be shared. */
  isWatched(): boolean
  /** Hears what changes; returns the way to stop. */
  listen(listener: (subsystem: string) => void): () => void
}

type Framing = Parameters<MpdConnection['send']>[1]

/** Reads whose answers hold nothing that media, files or people brought: numbers, and words of the player's own. */
const terse: ReadonlySet<string> = new Set(['status', 'getvol', 'replay_gain_status', 'plchangesposid', 'stats'])

const mostChannels = 64

/** One client's side of the player. It owns no line, unless it subscribed to something. */
export function createConnection(house: House, person: MpdPerson, given: Settings): MpdConnection {
  const { pool, errands, shares, limits, now } = house
  const listeners = new Set<(subsystem: string) => void>()
  const channels = new Map<unknown, Permit>()
  let tuning: Tuning = untuned
  let pin: Pin | undefined
  let current: Journey | undefined
  let rejectCurrent: ((fault: Fault) => void) | undefined
  let busy = false
  let isClosed = false
  /** Its channels are being subscribed to again; what is asked meanwhile comes after. */
  let restoring: Journey | undefined
  let afterRestoring: (() => void) | undefined
  let retry: NodeJS.Timeout | undefined

  for (const permit of given) remember(permit)
  const unhear = house.listen((subsystem) => {
    for (const listener of listeners) listener(subsystem)
    // The player is there, so whatever broke may be mended.
    restoreLater()
  })
  restore()

  function remember(permit: Permit): void {
    const { operation, args } = permit.call
    if (operation.state === 'setting') tuning = tune(tuning, permit)
    if (operation.name === 'subscribe') channels.set(args.channel, permit)
    if (operation.name === 'unsubscribe') channels.delete(args.channel)
  }

  function channelsText(): string {
    return [...channels.values()].map(({ call }) => encode(call)).join('')
  }

  function tellMessage(): void {
    for (const listener of listeners) listener('message')
  }

  /** @throws Fault `limited` */
  function pinned(): Pin {
    if (pin) return pin
    const leave = house.takeSeat(person)
    const made = createPin({
      pool,
      isWanted: () => channels.size > 0,
      tell: tellMessage,
      onBreak: restoreLater,
      onEnd() {
        leave()
        if (pin === made) pin = undefined
      },
    })
    pin = made
    return made
  }

  /** Not at once: a player that ends every line would be asked for ever new ones. */
  function restoreLater(): void {
    if (isClosed || retry || channels.size === 0 || pin?.alive) return
    retry = setTimeout(() => {
      retry = undefined
      restore()
    }, limits.retryMostMs)
  }

  /** Subscribes again, without being asked, to what is no longer subscribed to. */
  function restore(): void {
    if (isClosed || busy || restoring || channels.size === 0 || pin?.alive) return
    const ended = () => {
      restoring = undefined
      afterRestoring?.()
    }
    try {
      const job = jobOf('', plain, { isRead: true, costly: false, ms: limits.answerMs, from: pinned() })
      let isOver = false
      const over = () => {
        isOver = true
        ended()
      }
      const journey = errands.start(job, { out() {}, done: over, fail: over })
      if (!isOver) restoring = journey
    } catch {
      // No seat is free: the next change or command tries again.
    }
  }

  function jobOf(
    text: string,
    frame: Frame,
    {
      isRead,
      adds = false,
      costly,
      ms,
      from,
    }: Pick<Job, 'isRead' | 'adds' | 'costly' | 'ms'> & { readonly from: Pin | Pool },
    settle?: Job['settle'],
  ): Job {
    const isSeated = from !== pool
    const channels = isSeated ? channelsText() : ''
    const until = now() + ms
    return { person, text, frame, costly, isRead, adds, until, ms, tuning, channels, from, isSeated, settle }
  }

  /** @throws Fault */
  function begin(permits: readonly Permit[], framing: Framing, client: Client): Journey {
    let [isRead, costly, isStateful, tells, subscribes, pieces] = [true, false, false, false, 0, 0]
    for (const { call } of permits) {
      const { state, bounds, name } = call.operation
      if (state === 'idle') throw new Fault('internal', 'an idle is not sent')
      if (state !== undefined || !call.capability.endsWith('.read')) isRead = false
      if (state === 'setting' || state === 'channel') isStateful = true
      if (bounds.costly) costly = true
      if (name === 'subscribe') subscribes++
      if (pictures.has(name)) pieces++
      if (call.capability.endsWith('.read') && !terse.has(name)) tells = true
    }
    const text = write(permits, framing)
    if (isStateful) {
      // Before anything is sent: what would be too many afterwards is refused now.
      let after = tuning
      for (const permit of permits) if (permit.call.operation.state === 'setting') after = tune(after, permit)
      if (channels.size + subscribes > mostChannels) throw new Fault('limited', 'too many channels for a connection')
    }
    const from = subscribes > 0 || channels.size > 0 || pin ? pinned() : pool
    const ms = costly || permits.length > 1 ? limits.costlyMs : limits.answerMs
    const frame = { pieces, tells, ...(framing === 'ok-list' && { items: permits.length }) }
    const settle = isStateful ? settling(permits) : undefined
    const adds = permits.some(({ call }) => addsToQueue(call))
    const job = jobOf(text, frame, { isRead, adds, costly, ms, from }, settle)
    return isRead && from === pool && house.isWatched() ? shares.ask(job, client) : errands.start(job, client)
  }

  function settling(permits: readonly Permit[]) {
    return (line: Line, count: number) => {
      for (const permit of permits.slice(0, count)) remember(permit)
      const failed = permits[count]
      line.tuning = failed?.call.operation.state === 'setting' ? unsure(tuning, failed) : tuning
      line.channels = channelsText()
    }
  }

  return {
    send(permits, framing, out) {
      return new Promise((resolve, reject) => {
        if (permits.length === 0 || !permits.every(isPermit)) throw new Fault('internal', 'only a permit can be sent')
        if (isClosed) throw gone()
        if (busy) throw new Fault('internal', 'one command at a time')
        const end = () => {
          busy = false
          current = undefined
          rejectCurrent = undefined
          if (channels.size === 0) pin?.end()
          else restoreLater()
        }
        const fail = (fault: Fault) => {
          if (!busy) return
          end()
          reject(fault)
        }
        const client: Client = {
          out,
          done(count) {
            if (!busy) return
            end()
            resolve(count)
          },
          fail,
        }
        const go = () => {
          try {
            const journey = begin(permits, framing, client)
            if (busy) current = journey
          } catch (error) {
            fail(Fault.from(error))
          }
        }
        busy = true
        rejectCurrent = fail
        if (!restoring) return go()
        afterRestoring = () => {
          afterRestoring = undefined
          if (busy) go()
        }
      })
    },
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    get settings() {
      return [...tuning.permits, ...channels.values()]
    },
    close() {
      if (isClosed) return
      isClosed = true
      unhear()
      clearTimeout(retry)
      afterRestoring = undefined
      restoring?.cancel()
      const journey = current
      rejectCurrent?.(gone())
      journey?.cancel()
      pin?.end()
    },
  }
}

/** @throws Fault */
function write(permits: readonly Permit[], framing: Framing): string {
  let text = ''
  for (const { call } of permits) {
    if (call.operation.protocol !== 'mpd') throw new Fault('internal', 'not a command of MPD')
    text += encode(call)
  }
  if (framing === 'single') return text
  return `command_list${framing === 'list' ? '' : '_ok'}_begin\n${text}command_list_end\n`
}
