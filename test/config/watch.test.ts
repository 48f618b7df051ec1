import { expect, test } from 'vitest'
import { type Loaded, readConfig } from '../../src/config/load.ts'
import type { Change } from '../../src/config/reload.ts'
import type { Config } from '../../src/config/schema.ts'
import { createWatch } from '../../src/config/watch.ts'

const text = (level: string) => `
players: { home: { kind: mpd, mpd: "127.0.0.1:6600" } }
roles: { owner: { grants: [{ allow: ["*"] }] } }
log: { level: ${level} }
`
const level: Change = { path: 'log.level', takes: 'live' }
const door: Change = { path: 'listen.mpd.port', takes: 'restart' }

/** A file that tests write, and a clock that ticks when it is told to. */
function createHouse(changes: (config: Config) => readonly Change[] = () => []) {
  const said: string[] = []
  const about: unknown[] = []
  const outcomes: string[] = []
  const applied: string[] = []
  const house = { content: text('info'), loads: 0, onPause: () => {} }
  const log = (kind: string) => (record: object, words: string) => {
    said.push(`${kind}: ${words}`)
    about.push(record)
  }
  const watch = createWatch({
    source: {
      file: 'c.yaml',
      take: () => {
        const { content } = house
        return {
          digest: content,
          load(): Loaded {
            house.loads++
            return readConfig(content, 'c.yaml', { env: {}, read: () => '' })
          },
        }
      },
    },
    apply(config) {
      const different = changes(config)
      applied.push(config.log.level)
      return different
    },
    log: { info: log('info'), warn: log('warn') },
    onOutcome: (result) => outcomes.push(result),
    pause: async () => house.onPause(),
    limits: { everyMs: 0, restLooks: 2, alarmLooks: 8 },
  })
  const look = (times: number) => {
    for (let i = 0; i < times; i++) watch.look()
  }
  return { watch, house, said, about, outcomes, applied, look }
}

test('what the gateway began with is judged once, and no news', () => {
  const { house, watch, said, outcomes, look } = createHouse()
  look(20)
  expect([watch.state, house.loads, said, outcomes]).toEqual(['current', 1, [], []])
})

test('what changed before the first look is applied all the same', () => {
  const { said, outcomes, look } = createHouse(() => [level])
  look(3)
  expect([said, outcomes]).toEqual([['info: the configuration was applied'], ['applied']])
})

test('a change is applied when it has come to rest, and not in the middle of being written', () => {
  const { house, applied, about, look } = createHouse(({ log }) => (log.level === 'info' ? [] : [level, door]))
  look(3)
  for (const part of ['warn', 'error', 'debug']) {
    house.content = text(part)
    look(2)
  }
  expect(applied).toEqual(['info'])
  look(1)
  expect(applied).toEqual(['info', 'debug'])
  expect(about).toEqual([{ live: ['log.level'], 'new connections': [] }, { settings: ['listen.mpd.port'] }])
  look(20)
  expect(applied).toHaveLength(2)
})

test.each(['', 'players:', 'roles: { owner: {', '\u0000', text('loud')])(
  'a slip for a moment, in the middle of a save, is no alarm: %j',
  (slip) => {
    const { house, watch, said, applied, look } = createHouse(() => [])
    look(3)
    house.content = slip
    look(7)
    house.content = text('warn')
    look(3)
    expect(applied).toEqual(['info', 'warn'])
    expect(said).toEqual(['info: the configuration has nothing new'])
    expect(watch.state).toBe('current')
  },
)

test('one that stays wrong is said with every problem, once, and the one before stays', () => {
  const { house, watch, said, about, outcomes, applied, look } = createHouse()
  look(3)
  house.content = text('loud').replace('6600', 'x')
  look(9)
  expect(watch.state).toBe('invalid')
  expect(said).toEqual([
    'warn: the configuration has a problem',
    'warn: the configuration has a problem',
    'warn: the configuration is invalid: the one before stays in force',
  ])
  expect(about[1]).toEqual({
    file: 'c.yaml',
    line: 4,
    path: 'log.level',
    what: 'unknown: "loud"',
    fix: expect.stringContaining('here may stand'),
  })
  look(50)
  expect([said.length, outcomes, applied]).toEqual([3, ['invalid'], ['info']])

  house.content = text('info')
  look(3)
  expect([watch.state, said.at(-1), outcomes]).toEqual([
    'current',
    'info: the configuration is valid again',
    ['invalid', 'applied'],
  ])
})

test('of a thousand problems fifty are lines, and all are counted', () => {
  const { house, said, about, look } = createHouse()
  house.content = `${text('info')}${Array.from({ length: 1_000 }, (_, i) => `x${i}: 1\n`).join('')}`
  look(9)
  expect(said).toHaveLength(51)
  expect(about.at(-1)).toEqual({ file: 'c.yaml', problems: 1_000 })
})

test('who asks is answered at once, with the problems too, and again without repeating them', async () => {
  const { house, watch, said, outcomes, applied } = createHouse()
  house.content = text('warn')
  expect(await watch.reload()).toEqual({ changes: [] })
  expect(applied).toEqual(['warn'])
  house.content = text('loud')
  for (const _ of [1, 2]) {
    expect(await watch.reload()).toMatchObject({ problems: [{ path: 'log.level', line: 4 }] })
  }
  expect(said).toEqual([
    'info: the configuration has nothing new',
    'warn: the configuration has a problem',
    'warn: the configuration is invalid: the one before stays in force',
    'warn: the configuration is invalid: the one before stays in force',
  ])
  expect(outcomes).toEqual(['applied', 'invalid', 'invalid'])
  expect(watch.state).toBe('invalid')
})

test('what was judged for somebody is not judged again by the clock', async () => {
  const { house, watch, look } = createHouse()
  house.content = text('loud')
  await watch.reload()
  look(20)
  expect(house.loads).toBe(1)
})

test('who asks while it is being written waits until that is done, and not for ever', async () => {
  const { house, watch, applied } = createHouse()
  let pauses = 0
  house.onPause = () => {
    pauses++
    house.content = pauses < 4 ? text('info').slice(0, 40 * pauses) : text('warn')
  }
  expect(await watch.reload()).toEqual({ changes: [] })
  expect(applied).toEqual(['warn'])
  house.onPause = () => {
    house.content += '#'
  }
  expect(await watch.reload()).toMatchObject({ problems: [{ what: 'it is being written' }] })
  expect(applied).toEqual(['warn'])
  expect(watch.state).toBe('current')
})

test('one that cannot be applied is a problem as well', async () => {
  const { watch } = createHouse(() => {
    throw new Error('no such zone')
  })
  expect(await watch.reload()).toMatchObject({ problems: [{ what: 'it could not be applied: no such zone' }] })
  expect(watch.state).toBe('invalid')
})
