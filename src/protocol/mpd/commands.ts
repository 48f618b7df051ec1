import type { Catalog } from '../../call/catalog.ts'
import { mpd } from './catalog.ts'
import { commandOf, type MpdOperation } from './decode.ts'
import type { TextParams } from './param.ts'

/**
 * What `commands` and `notcommands` list for somebody: a command is theirs when any of its rows is.
 *
 * @param mayCall whether this person may ever call the row; rows that are refused to everybody are not asked for
 */
export function commandsFor(mayCall: (operation: MpdOperation) => boolean): {
  readonly commands: readonly string[]
  readonly notcommands: readonly string[]
} {
  const rows: readonly MpdOperation[] = Object.values<MpdOperation>(mpd satisfies Catalog<TextParams>)
  const all = [...new Set(rows.map(commandOf))].sort()
  const theirs = new Set(rows.filter((row) => row.refused === undefined && mayCall(row)).map(commandOf))
  return { commands: all.filter((name) => theirs.has(name)), notcommands: all.filter((name) => !theirs.has(name)) }
}
