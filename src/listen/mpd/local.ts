import type { Operation } from '../../call/catalog.ts'
import { Fault } from '../../call/fault.ts'
import type { Gate } from '../../gate/gate.ts'
import { mpd } from '../../protocol/mpd/catalog.ts'
import { commandsFor } from '../../protocol/mpd/commands.ts'
import type { MpdPlayer } from '../../upstream/player.ts'
import type { Presence } from './presence.ts'

type Rows = typeof mpd

/** What this door answers itself, by the catalog. */
export type Local = {
  [Name in keyof Rows]: Rows[Name] extends { readonly state: 'local' } ? Name : never
}[keyof Rows]

type Call = ReturnType<Gate['admit']>['call']
type Answers = { readonly [Name in Local]: (call: Call) => void | Promise<void> }

const rows: Readonly<Record<string, Operation>> = mpd

export function isLocal(name: string): name is Local {
  return rows[name]?.state === 'local'
}

/** How each of them is answered, once it was admitted. They may throw a Fault. */
export function createAnswers(deps: {
  readonly gate: Gate
  readonly presence: Presence
  readonly players: ReadonlyMap<string, MpdPlayer>
  write(text: string): void | Promise<void>
  part(): void
  signIn(password: string): Promise<void>
}): Answers {
  const { gate, presence, players, write } = deps

  /** What this person may use, and what only others may, of what is there. */
  function announce() {
    const { by, player } = presence
    const { commands, notcommands } = commandsFor((row) => gate.mayCall(by, player, row))
    const offers = players.get(player)?.offers
    const isThere = (name: string) => isLocal(name) || !offers || offers.has(name)
    return { commands: commands.filter(isThere), notcommands: notcommands.filter(isThere) }
  }

  return {
    ping: () => write('OK\n'),
    close: deps.part,
    password: ({ args }) => deps.signIn(String(args.password)),
    commands: () => write(list('command', announce().commands)),
    notcommands: () => write(list('command', announce().notcommands)),
    listpartitions: () => write(list('partition', presence.usable())),
    partition({ args }) {
      // One that this person may not use is as good as none.
      const name = presence.usable().find((one) => one === args.name)
      if (name === undefined) throw new Fault('bad-arguments', 'no such partition')
      presence.move(name)
      return write('OK\n')
    },
  }
}

/** An answer of as many lines as there are names. */
export function list(key: string, names: readonly string[]): string {
  return `${names.map((name) => `${key}: ${name}\n`).join('')}OK\n`
}
