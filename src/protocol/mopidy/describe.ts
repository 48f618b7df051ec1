import { capabilities, isCapability } from '../../call/capability.ts'
import type { Operation } from '../../call/catalog.ts'
import { mopidy } from './catalog.ts'

interface Description {
  readonly description: string
  readonly params: readonly { readonly name: string; readonly default?: unknown }[]
}

/**
 * The answer to `core.describe`, with the methods this caller may use and no others: clients build theirs from it.
 *
 * Parameter lists are whole, since positional calls count on their order.
 */
export function describe(mayCall: (operation: Operation) => boolean): Readonly<Record<string, Description>> {
  const rows: readonly Operation[] = Object.values(mopidy)
  return Object.fromEntries(
    rows
      .filter((row) => row.name !== 'core.describe' && row.refused === undefined && mayCall(row))
      .map((row) => [row.name, describeRow(row)]),
  )
}

function describeRow({ capability, params }: Operation): Description {
  return {
    description: isCapability(capability) ? capabilities[capability] : 'For everybody who is signed in',
    params: Object.entries(params).map(([name, { count, schema }]) =>
      count === 'optional' ? { name, default: 'default' in schema ? schema.default : null } : { name },
    ),
  }
}
