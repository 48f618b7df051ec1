import { expect, test } from 'vitest'
import type { Operation } from '../../src/call/catalog.ts'
import { together, verdictOf, waysOf, write } from '../../src/cli/matrix.ts'
import { loadConfig } from '../../src/config/load.ts'
import { compile } from '../../src/policy/policy.ts'
import { catalogs } from '../../src/protocol/catalogs.ts'

const { config } = loadConfig('config/stagedoor.yaml', {})
if (!config) throw new Error('the shipped configuration has problems: stagedoor check')
const policy = compile(config.roles)
const roles = Object.keys(config.roles)
const players = [...config.players.keys()]

function table(rows: readonly Operation[]): string[] {
  return rows.flatMap((row) =>
    waysOf(row).map(({ name, takes, facets }) => {
      const judge = (role: string) => takes.map((each) => verdictOf(policy, role, players, each, facets))
      const cells = roles.map((role) => (row.refused === undefined ? write(together(judge(role))) : 'refused'))
      return `| ${[name, takes.join(' and ') + (row.alarm ? ' (alarm)' : ''), ...cells].join(' | ')} |`
    }),
  )
}

function section(title: string, rows: readonly Operation[]): string {
  const head = ['operation', 'capability', ...roles]
  return [`## ${title}`, '', `| ${head.join(' | ')} |`, `|${head.map(() => '---').join('|')}|`, ...table(rows)].join('\n')
}

test('who may do what by the shipped configuration: a change of policy or catalog is reviewed as its diff', async () => {
  const text = [
    '# Every role × every operation',
    'What the shipped roles may do, worked out from `config/stagedoor.yaml` and the catalogs by `npx vitest run test/golden --update`.',
    ...[...catalogs].map(([title, catalog]) => section(title, Object.values(catalog))),
  ].join('\n\n')
  await expect(`${text}\n`).toMatchFileSnapshot('matrix.md')
})
