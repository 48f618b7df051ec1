import type { Call } from '../call/call.ts'
import type { Known, Matter } from '../call/known.ts'
import type { Ledger } from './ledger.ts'
import type { Names } from './names.ts'
import type { OpenPlayer } from './players.ts'

/** Whom to ask for what policy has to know of a call. What is not found out is not known, and what depends on it is refused. */
export function createLookUps(deps: {
  readonly players: ReadonlyMap<string, Pick<OpenPlayer, 'informant'>>
  readonly ledgers: { of(player: string): Pick<Ledger, 'look'> | undefined }
  readonly names: Names
}): Readonly<Record<Matter, (call: Call) => Promise<Known>>> {
  const informantOf = ({ player }: Call) => deps.players.get(player)?.informant
  return {
    volume: async (call) => informantOf(call)?.volume() ?? {},
    hosts: deps.names.lookUp,
    adds: async (call) => informantOf(call)?.adds(call) ?? {},
    async queue({ player }) {
      const ledger = deps.ledgers.of(player)
      return ledger ? { queue: await ledger.look() } : {}
    },
  }
}
