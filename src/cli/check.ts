import { explain } from '../config/explain.ts'
import { loadConfig } from '../config/load.ts'
import { parse, single } from './command.ts'
import { warningsOf } from './config.ts'
import { compareWeb } from './webcheck.ts'

/** Every problem of the configuration at once; of a sound one also where its players differ from it. */
export const run = single('\n  stagedoor check [--json]', async (args, io) => {
  const { values } = parse(args, { json: { type: 'boolean' } }, { min: 0, max: 0 })
  const { config, problems, where } = loadConfig(io.config, io.env)
  if (values.json) io.out(JSON.stringify(problems, null, 2))
  else for (const problem of problems) io.out(explain(problem))
  if (!config) return 1
  const { players, roles } = config
  const names = (keys: Iterable<string>) => [...keys].join(', ')
  if (!values.json) {
    io.out(`${io.config}: fine; players: ${names(players.keys())}; roles: ${names(Object.keys(roles))}`)
  }
  for (const { path, text } of warningsOf(config)) io.err(`${where(path) ?? io.config}: warning: ${text}`)
  for (const { path, weight, text } of await compareWeb(players)) {
    io.err(`${where(path) ?? where(path.replace(/\.web$/, '')) ?? io.config}: ${path}: ${weight}: ${text}`)
  }
  return 0
})
