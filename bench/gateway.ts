// The gateway as `stagedoor serve` runs it, but without the limits of the doors, which stop exactly what a benchmark does.
import { closeSync, openSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { createLog } from '../src/cli/log.ts'
import { loadConfig } from '../src/config/load.ts'
import { startGateway } from '../src/gateway.ts'

const { values } = parseArgs({ options: { config: { type: 'string' }, data: { type: 'string' } } })
const { config, problems } = loadConfig(values.config ?? '', process.env)
if (!config) throw new Error(JSON.stringify(problems))
// The log is written, but whoever measures does not also have to read it: standard output is the lowest number that is free.
closeSync(1)
openSync('/dev/null', 'w')
const many = { count: 1_000_000_000, ms: 1_000 }
const gateway = await startGateway({
  config,
  data: values.data ?? '',
  log: createLog(config.log.level),
  limits: {
    http: { requests: many, connections: 5_000, connectionsPerPeer: 5_000 },
    websocket: { frames: many, upgrades: many, perAccount: 5_000, perAddress: 5_000 },
    mpd: { knocks: many },
  },
  now: Date.now,
})
process.once('SIGTERM', () => void gateway.close().then(() => process.exit(0)))
