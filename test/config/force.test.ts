import { expect, test } from 'vitest'
import { createForce } from '../../src/config/force.ts'
import { readConfig } from '../../src/config/load.ts'
import type { Config } from '../../src/config/schema.ts'

function read(more = '', rate = '300/1m'): Config {
  const text = `
players: { home: { kind: mpd, mpd: "127.0.0.1:6600" } }
roles: { owner: { grants: [{ allow: ["*"] }], rates: { "*": ${rate} } } }
zone: Europe/Berlin
${more}`
  const { config, problems } = readConfig(text, 'c.yaml', { env: {}, read: () => '' })
  if (!config) throw new Error(JSON.stringify(problems))
  return config
}

const rateOf = ({ policy }: ReturnType<typeof createForce>) => policy.roles.get('owner')?.rates.get('*')?.count

test('configuration and policy change together', () => {
  const heard: string[] = []
  const force = createForce(read(), ({ log }) => heard.push(log.level))
  const before = force.policy
  expect(rateOf(force)).toBe(300)
  force.apply(read('log: { level: warn }', '5/1m'))
  expect([rateOf(force), force.config.log.level, heard]).toEqual([5, 'warn', ['warn']])
  // Who has the old one in hand has all of the old one.
  expect(before.roles.get('owner')?.rates.get('*')?.count).toBe(300)
})

test('what differs in nothing, or only after a restart, leaves both as they are', () => {
  const force = createForce(read(), () => expect.unreachable())
  const { policy, config } = force
  expect(force.apply(read())).toEqual([])
  expect(force.apply(read('tls: { dir: elsewhere }'))).toEqual([{ path: 'tls.dir', takes: 'restart' }])
  // And goes on saying so, until it is as before.
  expect(force.apply(read('tls: { dir: elsewhere }'))).toHaveLength(1)
  expect(force.apply(read())).toEqual([])
  expect(force.policy).toBe(policy)
  expect(force.config).toBe(config)
})

test('what no policy can be made of changes nothing at all', () => {
  const force = createForce(read(), () => expect.unreachable())
  const { policy, config } = force
  const broken = { ...read('log: { level: warn }'), roles: { owner: { grants: [{ allow: ['*'], when: { no: 1 } }] } } }
  expect(() => force.apply(broken as unknown as Config)).toThrow()
  expect(force.policy).toBe(policy)
  expect(force.config).toBe(config)
})
