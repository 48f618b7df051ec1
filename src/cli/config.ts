import { Fault } from '../call/fault.ts'
import { explain, suggest } from '../config/explain.ts'
import { type Loaded, loadConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { compile } from '../policy/policy.ts'
import type { Policy } from '../policy/role.ts'
import type { Io } from './command.ts'

/** The configuration, and where its parts stand. @throws Fault naming every problem */
export function configOf(io: Io): { readonly config: Config; readonly where: Loaded['where'] } {
  const { config, problems, where } = loadConfig(io.config, io.env)
  if (!config) throw new Fault('bad-arguments', problems.map(explain).join('\n'))
  return { config, where }
}

/** The roles of a configuration, compiled as the gateway compiles them. */
export function policyOf({ roles, zone }: Config): Policy {
  return compile(roles, { zone })
}

/** What is fine in a configuration and should not be forgotten. */
export function warningsOf({ roles }: Config): readonly { readonly path: string; readonly text: string }[] {
  const observed = Object.entries(roles).filter(([, { mode }]) => mode === 'observe')
  return observed.map(([role]) => ({
    path: `roles.${role}.mode`,
    text: `role ${role} is only observed: what it does not allow is recorded and goes all the same (mode: observe)`,
  }))
}

/** Refuses names that the configuration does not have: a role nobody defined would grant nothing. */
export function checkNames(
  io: Io,
  { roles = [], players = [] }: { roles?: readonly string[]; players?: readonly string[] },
): void {
  const { config } = configOf(io)
  check('role', roles, Object.keys(config.roles))
  check('player', players, [...config.players.keys()])
}

function check(what: string, names: readonly string[], known: readonly string[]): void {
  const wrong = names.find((name) => !known.includes(name))
  if (wrong !== undefined) {
    throw new Fault(
      'bad-arguments',
      `no ${what} ${JSON.stringify(wrong)} in the configuration: ${suggest(wrong, known)}`,
    )
  }
}
