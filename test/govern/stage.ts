import type { Call, Principal, Request, User } from '../../src/call/call.ts'
import { createCall } from '../../src/call/call.ts'
import type { Known } from '../../src/call/known.ts'
import type { AuditRecord } from '../../src/gate/audit.ts'
import { createGate, type Gate } from '../../src/gate/gate.ts'
import { createLimiter } from '../../src/gate/limiter.ts'
import { overhear } from '../../src/govern/house.ts'
import type { Policy } from '../../src/policy/role.ts'
import { mpd } from '../../src/protocol/mpd/catalog.ts'
import { blank } from '../../src/upstream/canvas.ts'
import { type Hand, mpdHand } from '../../src/upstream/hand.ts'
import type { Picture, PicturePlayer } from '../../src/upstream/player.ts'

/** A player of one volume that does what it is told, tells what it does, and can be turned at from behind. */
export interface Puppet {
  readonly picture: PicturePlayer
  readonly hand: Hand
  /** What it was sent, as MPD writes it. */
  readonly told: string[]
  /** What anybody does at the player itself, as it shows. Undefined is a player that has gone. */
  behind(change: Partial<Picture> | undefined): void
  /** What it does with the volume it is told; by itself that very volume. */
  takes: (volume: number) => number
  /** Set, it refuses everything. */
  broken: boolean
  /** Set, what it is told shows only when `show` is called. */
  isSlow: boolean
  show(): void
}

export function createPuppet(): Puppet {
  const listeners = new Set<() => void>()
  let picture: Picture | undefined = { ...blank(0), state: 'playing', uri: 'a', volume: 40 }
  let hidden: Partial<Picture> = {}
  const told: string[] = []
  const tell = () => {
    for (const listener of listeners) listener()
  }
  const change = (what: Partial<Picture>) => {
    hidden = { ...hidden, ...what }
    if (!puppet.isSlow) puppet.show()
  }
  const hand = mpdHand({
    open: () =>
      ({
        async send([permit]: readonly [{ readonly call: Call }]) {
          const { operation, args } = permit.call
          told.push([operation.name, ...Object.values(args)].join(' '))
          if (puppet.broken) return 0
          if (operation.name === 'setvol') change({ volume: puppet.takes(Number(args.level)) })
          else change({ state: 'paused' })
          return Number.POSITIVE_INFINITY
        },
      }) as never,
  })
  const puppet: Puppet = {
    picture: {
      get picture() {
        return picture
      },
      onPicture(listener) {
        const own = () => listener()
        listeners.add(own)
        return () => listeners.delete(own)
      },
    },
    hand,
    told,
    behind(what) {
      picture = what && { ...(picture ?? blank(0)), ...what }
      tell()
    },
    takes: (volume) => volume,
    broken: false,
    isSlow: false,
    show() {
      if (picture && Object.keys(hidden).length > 0) {
        picture = { ...picture, ...hidden }
        hidden = {}
        tell()
      }
    },
  }
  return puppet
}

export interface Stage {
  readonly gate: Gate
  readonly records: readonly AuditRecord[]
  readonly lines: string[]
  readonly deps: {
    readonly gate: Gate
    newId(): string
    now(): number
    readonly log: { warn(about: object, text: string): void; info(about: object, text: string): void }
  }
  now: number
  /** Who is told of each call that goes. */
  hear: (call: Call) => void
  /** Somebody's call, as a door would make it. @throws Fault */
  call(by: Principal, operation: Request['operation'], args?: Record<string, unknown>, known?: Known): void
}

export function createStage(policy: () => Policy, now: number): Stage {
  const records: AuditRecord[] = []
  const lines: string[] = []
  const audit = { write: (record: AuditRecord) => void records.push(record) }
  const plain = createGate({ policy, limiter: createLimiter(), audit })
  const gate = overhear(plain, { hear: (call) => stage.hear(call), mattersOf: () => [] })
  let ids = 0
  const stage: Stage = {
    gate,
    records,
    lines,
    now,
    deps: {
      gate,
      newId: () => `r${++ids}`,
      now: () => stage.now,
      log: { warn: (_about, text) => void lines.push(text), info: (_about, text) => void lines.push(text) },
    },
    hear: () => {},
    call(by, operation, args = {}, known = {}) {
      const origin = { id: `r${++ids}`, by, door: 'mpd', player: 'home', at: stage.now } as const
      gate.admit(createCall(origin, { operation, args }, known))
    },
  }
  return stage
}

export const rows = mpd

export function person(id: string, role: string, more: Partial<User> = {}): User {
  const until = Number.MAX_SAFE_INTEGER
  return { kind: 'user', id, name: id, roles: [role], session: `s-${id}`, until, from: '192.0.2.1', ...more }
}

/** Lets everything that is under way go on until it waits for something else. */
export const settle = () => new Promise((resolve) => setImmediate(resolve))
