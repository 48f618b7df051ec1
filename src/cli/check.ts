import { explain } from '../config/explain.ts'
import { loadConfig } from '../config/load.ts'
import { parse, single } from './command.ts'

/** Every problem of the configuration at once. */
export const run = single('\n  stagedoor check [--json]', (args, io) => {
  const { values } = parse(args, { json: { type: 'boolean' } }, { min: 0, max: 0 })
  const { config, problems } = loadConfig(io.config, io.env)
  if (values.json) io.out(JSON.stringify(problems, null, 2))
  else for (const problem of problems) io.out(explain(problem))
  if (!config) return 1
  const { players, roles } = config
  const names = (keys: Iterable<string>) => [...keys].join(', ')
  if (!values.json) {
    io.out(`${io.config}: fine; players: ${names(players.keys())}; roles: ${names(Object.keys(roles))}`)
  }
  return 0
})
