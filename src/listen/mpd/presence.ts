import { isDeepStrictEqual } from 'node:util'
import type { Principal, User } from '../../call/call.ts'
import { Fault } from '../../call/fault.ts'
import type { Gate } from '../../gate/gate.ts'
import { subsystems } from '../../protocol/mpd/events.ts'
import type { MpdConnection, MpdPlayer } from '../../upstream/player.ts'

/** Who a client is, at which player, and its side of that player. */
export interface Presence {
  readonly by: Principal
  readonly player: string
  /** Its side of the player, with what it set before as far as it still may. @throws Fault before sign-in and after the end */
  reach(): MpdConnection
  signIn(user: User): void
  /** The same person as of now; false when there is none any more. Not while something is on its way, if `settle` is to follow. */
  renew(ask: (user: User) => User | undefined): boolean
  /** Lets go of what this person may no longer have. Ends what is on its way. */
  settle(): void
  /** To another player, which must be one that this person may use. */
  move(player: string): void
  /** The players this person may use at all. */
  usable(): readonly string[]
  maySee(subsystem: string): boolean
  close(): void
}

/** What another player has of its own: after a move all of it is news. MPD names fewer, as its partitions share a library. */
const itsOwn = ['database', 'stored_playlist', 'playlist', 'player', 'mixer', 'output', 'options', 'sticker'] as const

/**
 * @param deps.players the first is where everybody begins who may
 * @param deps.ceiling roles that must allow whatever this client asks for, besides its person's own
 * @param deps.onChange hears the subsystems that change, of this person's player since this person came to it
 * @param deps.onLeave what was heard before is nothing to whoever is next
 */
export function createPresence(deps: {
  readonly gate: Gate
  readonly players: ReadonlyMap<string, MpdPlayer>
  readonly from: string
  readonly ceiling?: readonly string[] | undefined
  onChange(subsystem: string): void
  onLeave(): void
}): Presence {
  const { gate, players, ceiling } = deps
  let user: User | undefined
  let by: Principal = { kind: 'anonymous', from: deps.from }
  let player = [...players.keys()][0] ?? ''
  let link: MpdConnection | undefined
  let unhear = () => {}
  let state: 'settled' | 'stale' | 'closed' = 'settled'

  function be(next: User): void {
    user = next
    by = ceiling ? { ...next, ceilings: [...(next.ceilings ?? []), ceiling] } : next
  }

  /** A side of the player for this person, who may be another one than before: channels are not handed over. */
  function open(isOther: boolean): void {
    const settings = link?.settings.filter(
      ({ call: { capability, operation } }) =>
        gate.may(by, player, capability) && !(isOther && operation.state === 'channel'),
    )
    leave()
    const { id } = user ?? { id: '' }
    link = players.get(player)?.open({ id, reserve: gate.may(by, player, 'server.admin') }, settings)
    unhear = link?.onChange(deps.onChange) ?? (() => {})
    state = 'settled'
  }

  function leave(): void {
    unhear()
    link?.close()
    link = undefined
  }

  function usable(): readonly string[] {
    return [...players.keys()].filter((name) => gate.capabilitiesOf(by, name).length > 0)
  }

  /** Whether a newer configuration took away the player, and there is another to go to. Asked of everybody twice a second. */
  function isAway(): boolean {
    if (gate.may(by, player, 'status.read')) return false
    const mine = usable()
    return mine.length > 0 && !mine.includes(player)
  }

  function settle(): void {
    if (state !== 'stale') return
    // A player that is not theirs any more is left for the first that is.
    const mine = usable()
    const [first] = mine
    if (first !== undefined && !mine.includes(player)) move(first)
    else open(false)
  }

  function move(name: string): void {
    if (name === player) return
    player = name
    deps.onLeave()
    open(false)
    for (const subsystem of itsOwn) deps.onChange(subsystem)
  }

  return {
    get by() {
      return by
    },
    get player() {
      return player
    },
    reach() {
      settle()
      if (!link) throw new Fault('internal', 'nobody to connect for')
      return link
    },
    signIn(next) {
      if (state === 'closed') return
      const isOther = user?.id !== next.id
      be(next)
      const mine = usable()
      const goes = !mine.includes(player)
      if (goes) player = mine[0] ?? player
      if (isOther || goes) deps.onLeave()
      open(isOther)
    },
    renew(ask) {
      if (!user) return true
      const before = user
      const now = ask(before)
      if (!now) return false
      be(now)
      if (state === 'settled' && (!isDeepStrictEqual(accessOf(before), accessOf(now)) || isAway())) state = 'stale'
      return true
    },
    settle,
    move,
    usable,
    maySee(subsystem) {
      const capability = subsystems.get(subsystem)
      return capability !== undefined && gate.may(by, player, capability)
    },
    close() {
      leave()
      state = 'closed'
    },
  }
}

function accessOf({ roles, ceilings, players }: User): unknown {
  return [roles, ceilings, players]
}
