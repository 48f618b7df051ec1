import { ConfigFile } from '../config/schema.ts'
import { parse, single } from './command.ts'

/** The configuration's JSON Schema, as config/stagedoor.schema.json has it. */
export const run = single('\n  stagedoor schema', (args, io) => {
  parse(args, {}, { min: 0, max: 0 })
  io.out(JSON.stringify(ConfigFile, null, 2))
  return 0
})
