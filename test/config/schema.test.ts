// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references as people write them
import { readFileSync } from 'node:fs'
import { Check } from 'typebox/value'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { webClients } from '../../src/config/player.ts'
import { ConfigFile } from '../../src/config/schema.ts'
import { webClients as known } from '../../src/protocol/web/clients.ts'

test('config/stagedoor.schema.json is what the code says: npx stagedoor schema > config/stagedoor.schema.json', () => {
  expect(JSON.parse(readFileSync('config/stagedoor.schema.json', 'utf8'))).toEqual(
    JSON.parse(JSON.stringify(ConfigFile)),
  )
})

test('the web clients that can be named are those that have a row', () => {
  expect([...known.keys()].toSorted()).toEqual([...webClients].toSorted())
})

test('an editor finds the schema beside the shipped configuration, and the configuration fits it', () => {
  const text = readFileSync('config/stagedoor.yaml', 'utf8')
  expect(text.split('\n')[0]).toBe('# yaml-language-server: $schema=./stagedoor.schema.json')
  expect(Check(ConfigFile, parse(text.replace('"${STAGEDOOR_NAMES:-}"', '""')))).toBe(true)
})

test('no key is taken that the schema does not name, at any depth', () => {
  const open: string[] = []
  const walk = (schema: unknown, path: string) => {
    if (typeof schema !== 'object' || schema === null) return
    if ('type' in schema && schema.type === 'object' && !('additionalProperties' in schema)) open.push(path)
    for (const [key, value] of Object.entries(schema)) walk(value, `${path}/${key}`)
  }
  walk(JSON.parse(JSON.stringify(ConfigFile)), '')
  expect(open).toEqual([])
})
