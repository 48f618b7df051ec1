// Another process that draws from a quota and says so once it was written, until it is killed.
import { writeSync } from 'node:fs'
import { openQuotas } from '../../src/store/quota.ts'

const store = openQuotas({ dir: process.argv[2] ?? '', now: () => 0 })
for (let at = 1; ; at++) {
  store.write([{ person: 'u1', capability: 'playback.skip', at, weight: 1, until: at + 3_600_000 }], [])
  writeSync(1, `${at}\n`)
}
