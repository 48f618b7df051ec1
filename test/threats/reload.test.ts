// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references as people write them
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, expect } from 'vitest'
import { parse, stringify } from 'yaml'
import { loadConfig, takeSnapshot } from '../../src/config/load.ts'
import type { Config } from '../../src/config/schema.ts'
import type { Outcome } from '../../src/config/watch.ts'
import { freePort, until } from '../real/tools.ts'
import { ask, call, openMpd, openWs } from './clients.ts'
import { attack, type House, type HouseOptions, openHouse } from './harness.ts'

const dir = mkdtempSync(join(tmpdir(), 'stagedoor-reload-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))
const file = join(dir, 'stagedoor.yaml')
const metricsPort = await freePort()
let written = ''

/** What a gateway was started with, as a file. */
function write({ listen: { https, mpd }, tls, players, roles }: Config): string {
  const metrics = { host: '127.0.0.1', port: metricsPort }
  return stringify({ listen: { https, mpd, metrics }, tls, players: Object.fromEntries(players), roles })
}

async function open(options: HouseOptions) {
  return openHouse({
    ...options,
    source: { file, take: () => takeSnapshot(file, {}) },
    change(config) {
      written = write(config)
      writeFileSync(file, written)
      const { config: read, problems } = loadConfig(file, {})
      if (!read) throw new Error(JSON.stringify(problems))
      return read
    },
  })
}

function say({ data }: House, words: string): Promise<string> {
  const socket = connect(join(data, 'control.sock'))
  socket.end(words)
  return text(socket).catch(() => '')
}

const reload = async (house: House): Promise<Partial<Record<'problems' | 'changes', readonly unknown[]>> & Outcome> =>
  JSON.parse(await say(house, 'reload\n'))

/** Another file, in force. */
async function put(house: House, content: string): Promise<void> {
  writeFileSync(file, content)
  expect((await reload(house)).problems).toEqual([])
}

/** As it was, whatever stands in its place. */
async function restore(house: House): Promise<void> {
  rmSync(file, { recursive: true, force: true })
  await put(house, written)
}

const setVolume = (house: House, volume: number) => call(house, house.kid.token, 'core.mixer.set_volume', { volume })
/** The file with something else in it. */
function edited(edit: (content: ReturnType<typeof parse>) => void): string {
  const content = parse(written)
  edit(content)
  return stringify(content)
}

const kidWith = (max: number) => written.replace('maxVolume: 40', `maxVolume: ${max}`)
const ready = async (house: House) => (await ask(house, '/readyz')).json as { status?: string; config?: string }

attack(
  'The configuration of a running gateway',
  [
    {
      id: 'R1',
      attack: 'a file that is none, or half of one: nothing of it counts, and never everything is allowed',
      reaches: [/^core\.mixer\.set_volume/],
      async run(house) {
        const bomb = `x0: &x0 [a, a]\n${Array.from({ length: 40 }, (_, i) => `x${i + 1}: &x${i + 1} [*x${i}, *x${i}]\n`).join('')}`
        const kinds: Record<string, () => void> = {
          gone: () => {},
          empty: () => writeFileSync(file, ''),
          'a word': () => writeFileSync(file, 'stagedoor\n'),
          'only a comment': () => writeFileSync(file, '# roles\n'),
          'without roles': () => writeFileSync(file, written.slice(0, written.indexOf('roles:'))),
          'with no role': () => writeFileSync(file, `${written.slice(0, written.indexOf('roles:'))}roles: {}\n`),
          'cut in the middle': () => writeFileSync(file, written.slice(0, written.indexOf('maxVolume') + 4)),
          'a directory': () => mkdirSync(file),
          'a pipe': () => execFileSync('mkfifo', [file]),
          'not UTF-8': () => writeFileSync(file, Buffer.concat([Buffer.from(written), Buffer.of(0x23, 0xff)])),
          'a hundred megabytes': () => {
            writeFileSync(file, written)
            truncateSync(file, 100_000_000)
          },
          'one that unfolds without end': () => writeFileSync(file, written + bomb),
          'one of brackets': () => writeFileSync(file, '['.repeat(100_000)),
          'one that says things twice': () => writeFileSync(file, written + written),
          'a key too many': () => writeFileSync(file, `${written}allow: everything\n`),
        }
        for (const [kind, make] of Object.entries(kinds)) {
          rmSync(file, { recursive: true, force: true })
          make()
          const { problems } = await reload(house)
          expect(problems?.length, kind).toBeGreaterThan(0)
          expect(await setVolume(house, 41), kind).toBe(-32003)
          expect(await setVolume(house, 40), kind).toBe(0)
          expect(await ready(house), kind).toMatchObject({ status: 'ready', config: 'invalid' })
        }
        await restore(house)
        expect(await ready(house)).toMatchObject({ config: 'current' })
      },
    },
    {
      id: 'R2',
      attack: 'a file in the middle of being written, valid so far and with a condition less',
      reaches: [/^core\.mixer\.set_volume/],
      async run(house) {
        const half = written.replace(/ *when:\n *maxVolume: 40\n/, '')
        expect(half).not.toBe(written)
        writeFileSync(file, half)
        for (let i = 0; i < 40; i++) {
          writeFileSync(file, `${half}# ${'.'.repeat(i)}\n`)
          expect(await setVolume(house, 41)).toBe(-32003)
          await pause(50)
        }
        await restore(house)
        expect(await setVolume(house, 41)).toBe(-32003)
      },
    },
    {
      id: 'R3',
      attack: 'a right that was taken away, on connections that were open before',
      reaches: [/^core\.mixer\.set_volume/, /^setvol/],
      async run(house) {
        const { token } = house.kid
        const [ws, mpd] = [await openWs(house, { token }), await openMpd(house, { token })]
        const set = { jsonrpc: '2.0', id: 1, method: 'core.mixer.set_volume', params: { volume: 40 } }
        expect(await ws.rpc(set)).toMatchObject({ result: true })
        expect(await mpd.ask('setvol 40\n')).toBe('OK\n')
        // As editors do it, and without a word to the gateway.
        writeFileSync(`${file}.new`, kidWith(30))
        renameSync(`${file}.new`, file)
        await until(async () => (await setVolume(house, 40)) === -32003)
        expect(await ws.rpc(set)).toMatchObject({ error: { code: -32003 } })
        expect(await mpd.ask('setvol 40\n')).toMatch(/^ACK \[4@0\] \{setvol\}/)
        expect(await mpd.ask('setvol 30\n')).toBe('OK\n')
        await put(house, kidWith(50))
        expect(await ws.rpc({ ...set, params: { volume: 50 } })).toMatchObject({ result: true })
        expect(await mpd.ask('setvol 51\n')).toMatch(/^ACK \[4@0\] \{setvol\}/)
        await restore(house)
        ws.close()
        mpd.close()
      },
    },
    {
      id: 'R4',
      attack: 'a role that goes while its people are there: they have nothing, and not what others have',
      async run(house) {
        const { token } = house.kid
        const mpd = await openMpd(house, { token })
        await put(
          house,
          edited(({ roles }) => delete roles.kid),
        )
        const set = { jsonrpc: '2.0', id: 1, method: 'core.mixer.set_volume', params: { volume: 1 } }
        // There is nothing here for them any more.
        const answer = await ask(house, '/mopidy/rpc', { token, json: set })
        expect(answer.json).toMatchObject({ error: { code: -32003 } })
        expect(await mpd.ask('status\n')).toMatch(/^ACK \[4@0\] \{status\}/)
        expect(await mpd.ask('setvol 1\n')).toMatch(/^ACK \[4@0\] \{setvol\}/)
        await restore(house)
        expect(await mpd.ask('status\n')).toMatch(/^volume:/)
        mpd.close()
      },
    },
    {
      id: 'R5',
      attack: 'a secret in a borrowed file, where its problem is told',
      async run(house) {
        const secret = house.keep('hunter2-borrowed-4711')
        writeFileSync(join(dir, 'secret'), `${secret}\n`)
        for (const line of [
          `log: { level: "\${file:${dir}/secret}" }`,
          `zone: "\${file:${dir}/secret}"`,
          `notify: [{ ntfy: "\${file:${dir}/secret}" }]`,
          `# \${file:${dir}/secret}\nx: 1`,
        ]) {
          writeFileSync(file, `${written}${line}\n`)
          const answer = await say(house, 'reload\n')
          expect(JSON.parse(answer).problems).toHaveLength(1)
          expect(answer).not.toContain('hunter2')
          expect((await ask(house, '/readyz')).text).not.toContain('hunter2')
        }
        await restore(house)
      },
    },
    {
      id: 'R6',
      attack: 'who reads the figures learns of people',
      async run(house) {
        const { kid, guest } = house
        await setVolume(house, 99)
        await call(house, guest.token, 'core.playback.next')
        writeFileSync(file, `${written}x: 1\n`)
        await reload(house)
        const figures = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text()
        expect(figures).toMatch(/stagedoor_decisions_total\{outcome="denied",door="http"\} [1-9]/)
        expect(figures).toContain('stagedoor_config_last_reload_successful 0\n')
        for (const word of [kid.name, kid.id, guest.name, kid.token, house.from, file, dir, 'set_volume', 'role']) {
          expect(figures).not.toContain(word)
        }
        const { text: status } = await ask(house, '/readyz')
        expect(JSON.parse(status)).toEqual({ status: 'ready', config: 'invalid', players: { home: 'up' } })
        await restore(house)
      },
    },
    {
      id: 'R7',
      attack: 'a page in a browser of the house reads the figures under a name of its own; anything else of that door',
      async run(house) {
        const raw = async (lines: string) => {
          const socket = connect(metricsPort, '127.0.0.1')
          socket.write(`${lines.replaceAll('\n', '\r\n')}\r\n\r\n`)
          return text(socket)
        }
        const end = '\nConnection: close'
        expect(await raw(`GET /metrics HTTP/1.1\nHost: evil.example${end}`)).toMatch(/^HTTP\/1\.1 421 /)
        expect(await raw(`GET /metrics HTTP/1.1${end}`)).toMatch(/^HTTP\/1\.1 400 /)
        for (const path of ['/', '/mopidy/rpc', '/auth/me', '/metrics/../readyz', '/metrics?x']) {
          expect(await raw(`GET ${path} HTTP/1.1\nHost: localhost${end}`)).toMatch(/^HTTP\/1\.1 404 /)
        }
        expect(await raw(`POST /metrics HTTP/1.1\nHost: localhost\nContent-Length: 0${end}`)).toMatch(
          /^HTTP\/1\.1 405 /,
        )
        const answer = await raw(`GET /metrics HTTP/1.1\nHost: localhost\nOrigin: https://evil.example${end}`)
        expect(answer).toMatch(/^HTTP\/1\.1 200 /)
        expect(answer.toLowerCase()).not.toContain('access-control')
        // And the other way round: nothing of it on the door to the network.
        expect((await ask(house, '/metrics')).status).toBe(404)
      },
    },
    {
      id: 'R8',
      attack: 'other users of the machine, and other words, at the socket of `stagedoor reload`',
      async run(house) {
        expect(statSync(join(house.data, 'control.sock')).mode & 0o777).toBe(0o600)
        expect(statSync(house.data).mode & 0o777).toBe(0o700)
        const other = join(dir, 'other.yaml')
        writeFileSync(other, written.replace('maxVolume: 40', 'maxVolume: 100'))
        for (const words of [
          `reload ${other}\n`,
          '{"reload":true}\n',
          'RELOAD\n',
          'close\n',
          `${'a'.repeat(10_000)}\n`,
          '\n',
        ]) {
          expect(await say(house, words)).toBe('')
        }
        expect(await setVolume(house, 41)).toBe(-32003)
        expect((await reload(house)).problems).toEqual([])
      },
    },
    {
      id: 'R9',
      attack: 'reloads without end',
      reaches: [/^core\.mixer\.set_volume/],
      async run(house) {
        const asked = Array.from({ length: 60 }, () => say(house, 'reload\n'))
        const codes: number[] = []
        for (let i = 0; i < 30; i++) {
          writeFileSync(file, i % 2 === 0 ? kidWith(30 + i) : written.slice(0, 20 * i))
          codes.push(await setVolume(house, 20), await setVolume(house, 70))
        }
        expect(codes).toEqual(Array.from({ length: 30 }, () => [0, -32003]).flat())
        // Those that found a place were answered, and the rest were sent away.
        const answers = await Promise.all(asked)
        expect(answers.some((answer) => answer !== '')).toBe(true)
        for (const answer of answers) expect(answer).toMatch(/^(|\{.*\}\n)$/)
        await restore(house)
      },
    },
    {
      id: 'R10',
      attack: 'players and doors that a newer file has elsewhere are not gone to before a restart',
      reaches: [/^core\.mixer\.set_volume/],
      async run(house) {
        const reached: string[] = []
        const [elsewhere, mpd] = [await freePort(), await freePort()]
        const moved = edited(({ listen, players, roles }) => {
          players.home.http = `http://127.0.0.1:${elsewhere}`
          listen.mpd = { ...listen.mpd, host: '0.0.0.0', port: mpd }
          roles.kid.grants[2].when.maxVolume = 35
        })
        writeFileSync(file, moved)
        const { problems, changes } = await reload(house)
        expect([problems, changes]).toEqual([
          [],
          expect.arrayContaining([
            { path: 'listen.mpd.host', takes: 'restart' },
            { path: 'listen.mpd.port', takes: 'restart' },
            { path: 'players.home', takes: 'restart' },
            { path: 'roles.kid', takes: 'live' },
          ]),
        ])
        expect(await setVolume(house, 36)).toBe(-32003)
        expect(await setVolume(house, 35)).toBe(0)
        const knock = connect(mpd, '127.0.0.1')
        knock.on('error', ({ message }) => reached.push(message))
        await until(() => reached.length > 0)
        expect(reached[0]).toContain('ECONNREFUSED')
        expect(await ready(house)).toMatchObject({ status: 'ready', config: 'current' })
        await restore(house)
      },
    },
  ],
  open,
)
