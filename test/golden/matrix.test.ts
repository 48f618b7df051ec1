import { expect, test } from 'vitest'
import type { Operation } from '../../src/call/catalog.ts'
import { facetsOfRow, verdictOf, write } from '../../src/cli/matrix.ts'
import { loadConfig } from '../../src/config/load.ts'
import { compile } from '../../src/policy/policy.ts'
import { mopidy } from '../../src/protocol/mopidy/catalog.ts'
import { mpd } from '../../src/protocol/mpd/catalog.ts'

const { config } = loadConfig('config/stagedoor.yaml', {})
if (!config) throw new Error('the shipped configuration has problems: stagedoor check')
const policy = compile(config.roles)
const roles = Object.keys(config.roles)
const players = [...config.players.keys()]

function table(rows: readonly Operation[]): string[] {
  return rows.flatMap((row) => {
    const { name, capability, refused, given = {} } = row
    const ways = [{ name, capability }, ...Object.entries(given).map(([p, c]) => ({ name: `${name} (${p})`, capability: c ?? capability }))]
    return ways.map(({ name, capability }) => {
      const cells = roles.map((role) =>
        refused === undefined ? write(verdictOf(policy, role, players, capability, facetsOfRow(row))) : 'refused',
      )
      return `| ${[name, capability, ...cells].join(' | ')} |`
    })
  })
}

function section(title: string, rows: readonly Operation[]): string {
  const head = ['operation', 'capability', ...roles]
  return [`## ${title}`, '', `| ${head.join(' | ')} |`, `|${head.map(() => '---').join('|')}|`, ...table(rows)].join('\n')
}

test('who may do what by the shipped configuration: a change of policy or catalog is reviewed as its diff', async () => {
  const text = [
    '# Every role × every operation',
    'What the shipped roles may do, worked out from `config/stagedoor.yaml` and the catalogs by `npx vitest run test/golden --update`.',
    section('Mopidy', Object.values(mopidy)),
    section('MPD', Object.values(mpd)),
  ].join('\n\n')
  await expect(`${text}\n`).toMatchFileSnapshot('matrix.md')
})
