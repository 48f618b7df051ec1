import { Fault } from '../call/fault.ts'
import { suggest } from '../config/explain.ts'
import type { Config } from '../config/schema.ts'
import { withAccounts } from './accounts.ts'
import { Misuse, parse, single } from './command.ts'
import { configOf } from './config.ts'
import { note } from './note.ts'

const usage = `
  stagedoor pair PLAYER [--minutes 2]   lets the player be handed to another account: once, within 1 to 10 minutes
  stagedoor pair PLAYER --close         ends that before its time`

const options = { minutes: { type: 'string', default: '2' }, close: { type: 'boolean' } } as const

/** Who can read the state's directory owns the house anyway, so no account is asked for here. */
export const run = single(usage, async (args, io) => {
  const { values, words } = parse(args, options, { min: 1, max: 1 })
  const [player = ''] = words
  if (!/^(?:[1-9]|10)$/.test(values.minutes)) throw new Misuse('--minutes takes 1 to 10')
  const { config } = configOf(io)
  check(config, player)

  await withAccounts(io, (accounts) => {
    if (values.close) {
      const wasOpen = accounts.closePairing(player)
      if (wasOpen) note(io, config, { kind: 'pairing', outcome: `${player}: closed` })
      io.out(wasOpen ? `${player} can no longer be paired` : `${player} could not be paired anyway`)
      return
    }
    const until = io.now() + Number(values.minutes) * 60_000
    note(io, config, { kind: 'pairing', outcome: `${player}: opened for ${values.minutes} minutes` })
    accounts.openPairing(player, until)
    io.out(`${player} can be paired until ${new Date(until).toTimeString().slice(0, 8)}, by the first who asks`)
  })
  return 0
})

/** @throws Fault when there is no such player, or none that can be paired */
function check({ players }: Config, name: string): void {
  const pairable = [...players].flatMap(([name, player]) =>
    player.kind === 'librespot' && player.zeroconf !== undefined ? [name] : [],
  )
  if (pairable.includes(name)) return
  const what = players.has(name) ? `${name} cannot be paired` : `no player ${JSON.stringify(name)} in the configuration`
  const why = pairable.length === 0 ? 'that takes a player with `zeroconf:`' : suggest(name, pairable)
  throw new Fault('bad-arguments', `${what}: ${why}`)
}
