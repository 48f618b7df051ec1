import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import type { ConfigFile } from '../../src/config/schema.ts'
import { type Demo, startDemo } from '../../src/demo/player.ts'
import { openMpd, openPlain } from '../threats/clients.ts'
import { type FakeLibrespot, startFakeLibrespot } from '../upstream/fakelibrespot.ts'
import { connectRpc } from './clients.ts'
import { type Gateway, startGateway } from './gateway.ts'
import { freePort, python, run, until } from './tools.ts'

type Side = 'A' | 'B'

/** Two policies that differ in two rules at once: a call judged by some of each would get an answer that neither gives. */
const sides: Readonly<Record<Side, ConfigFile['roles'][string]>> = {
  A: {
    grants: [{ allow: ['status.read', 'options.set'] }, { allow: ['volume.set'], when: { maxVolume: 40 } }],
  },
  B: {
    grants: [{ allow: ['volume.set'], when: { maxVolume: 60 } }, { allow: ['status.read'] }],
  },
}

const volumeRefused = {
  A: { rule: 'roles.kid.grants[1].when.maxVolume', words: 'not allowed: maxVolume 40' },
  B: { rule: 'roles.kid.grants[0].when.maxVolume', words: 'not allowed: maxVolume 60' },
}

/** By whose word an answer is; undefined when neither of them gives it. */
type Verdict = Side | 'either' | undefined

/** One thing to ask for, over and over. */
interface Door {
  readonly name: string
  ask(turn: number): Promise<readonly { readonly verdict: Verdict; readonly said: string }[]>
  close(): void
}

interface RpcAnswer {
  readonly result?: unknown
  readonly error?: { readonly code: number; readonly message: string; readonly data?: { readonly rule?: string } }
}

const calls = {
  quiet: { method: 'core.mixer.set_volume', params: { volume: 30 } },
  loud: { method: 'core.mixer.set_volume', params: { volume: 50 } },
  louder: { method: 'core.mixer.set_volume', params: { volume: 70 } },
  random: { method: 'core.tracklist.set_random', params: { value: true } },
}
type Name = keyof typeof calls
const names = Object.keys(calls) as Name[]
const nameOf = (turn: number) => names[turn % names.length] as Name
const messageOf = (name: Name) => ({ jsonrpc: '2.0', id: 1, ...calls[name] })

/** Who refuses the volume in these words. */
function refuserOf(words: string, rule?: string): Verdict {
  return (['A', 'B'] as const).find(
    (side) => words.includes(volumeRefused[side].words) && (rule === undefined || rule === volumeRefused[side].rule),
  )
}

function judgeRpc(name: Name, { result, error }: RpcAnswer): Verdict {
  const went = result !== undefined && error === undefined
  if (!went && error?.code !== -32003) return undefined
  const refuser = refuserOf(error?.message ?? '', error?.data?.rule ?? '')
  switch (name) {
    case 'quiet':
      return went ? 'either' : undefined
    case 'loud':
      return went ? 'B' : refuser === 'A' ? 'A' : undefined
    case 'louder':
      return went ? undefined : refuser
    case 'random':
      return went ? 'A' : error?.message.includes('options.set') ? 'B' : undefined
  }
}

const lists = [
  { text: 'setvol 30\n', A: /^OK\n$/, B: /^OK\n$/ },
  { text: 'setvol 50\n', A: /^ACK \[4@0\] \{setvol\} .*maxVolume 40/, B: /^OK\n$/ },
  { text: 'setvol 70\n', A: /^ACK \[4@0\] \{setvol\} .*maxVolume 40/, B: /^ACK \[4@0\] \{setvol\} .*maxVolume 60/ },
  { text: 'random 1\n', A: /^OK\n$/, B: /^ACK \[4@0\] \{random\} .*options\.set/ },
  // Judged as a whole: a policy that is half of each lets all of it pass.
  {
    text: 'command_list_begin\nsetvol 50\nrandom 1\ncommand_list_end\n',
    A: /^ACK \[4@0\] \{setvol\} .*maxVolume 40/,
    B: /^ACK \[4@1\] \{random\} .*options\.set/,
  },
  {
    text: 'command_list_begin\nrandom 1\nsetvol 50\ncommand_list_end\n',
    A: /^ACK \[4@1\] \{setvol\} .*maxVolume 40/,
    B: /^ACK \[4@0\] \{random\} .*options\.set/,
  },
]

const root = fileURLToPath(new URL('../..', import.meta.url))
let demo: Demo
let go: FakeLibrespot
let gateway: Gateway
let metrics = 0
let plain = 0
let token = ''
let file = ''
let valid: Readonly<Record<Side, string>>

beforeAll(async () => {
  ;[demo, go, metrics, plain] = await Promise.all([
    startDemo(),
    startFakeLibrespot('go-librespot'),
    freePort(),
    freePort(),
  ])
  gateway = await startGateway({
    players: {
      home: { kind: 'mopidy', http: demo.http, mpd: demo.mpd },
      attic: { kind: 'go-librespot', url: go.url },
    },
    change(config) {
      config.roles = { owner: { grants: [{ allow: ['*'] }] }, kid: sides.A }
      config.listen = {
        ...config.listen,
        metrics: { port: metrics },
        plainMpd: { host: '127.0.0.1', port: plain, from: ['127.0.0.0/8'], roles: ['kid'] },
      }
      config.log = { level: 'warn' }
    },
    users: { ben: 'kid' },
  })
  token = gateway.token('ben')
  file = join(gateway.dir, 'config/stagedoor.yaml')
  const content = parse(readFileSync(file, 'utf8'))
  const write = (side: Side) => stringify({ ...content, roles: { ...content.roles, kid: sides[side] } })
  valid = { A: write('A'), B: write('B') }
  await until(async () => (await gateway.http('/readyz')).status === 200)
})

afterAll(async () => {
  await gateway?.stop()
  await Promise.all([demo?.close(), go?.close()])
})

async function openDoors(): Promise<Door[]> {
  const target = { https: gateway.https, mpd: gateway.mpd, plain, ca: gateway.ca, from: '127.0.0.1' }
  const agent = new Agent({ keepAlive: true, maxSockets: 4, ca: gateway.ca })
  const post = (path: string, body: unknown) =>
    new Promise<{ status: number; text: string }>((resolve, reject) => {
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
      const asked = request(
        { host: '127.0.0.1', port: gateway.https, path, method: 'POST', agent, headers },
        (answer) => {
          let text = ''
          answer.setEncoding('utf8').on('data', (piece: string) => {
            text += piece
          })
          answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text })).on('error', reject)
        },
      )
      asked.on('error', reject)
      asked.end(JSON.stringify(body))
    })

  const http: Door = {
    name: 'http',
    async ask(turn) {
      const name = nameOf(turn)
      const { text } = await post('/mopidy/rpc', messageOf(name))
      return [{ verdict: judgeRpc(name, JSON.parse(text)), said: text }]
    },
    close: () => agent.destroy(),
  }
  const batch: Door = {
    name: 'http, batches',
    async ask() {
      const { text } = await post('/mopidy/rpc', names.map(messageOf))
      const answers: readonly RpcAnswer[] = JSON.parse(text)
      return names.map((name, i) => ({ verdict: judgeRpc(name, answers[i] ?? {}), said: text }))
    },
    close() {},
  }
  const rest: Door = {
    name: 'rest',
    async ask() {
      const { status, text } = await post('/players/attic/player/shuffle_context', { shuffle_context: true })
      const isRefused = status === 403 && JSON.parse(text).capability === 'options.set'
      return [{ verdict: status === 200 ? 'A' : isRefused ? 'B' : undefined, said: `${status} ${text}` }]
    },
    close() {},
  }
  const ws = await connectRpc(gateway, token)
  const websocket: Door = {
    name: 'websocket',
    async ask(turn) {
      const name = nameOf(turn)
      const answer = (await ws.raw(JSON.stringify(messageOf(name)))) as RpcAnswer
      return [{ verdict: judgeRpc(name, answer), said: JSON.stringify(answer) }]
    },
    close: () => ws.close(),
  }
  const mpd = [await openMpd(target, { token }), await openMpd(target, { token }), await openPlain(target, { token })]
  const lines = mpd.map((client, i): Door => {
    return {
      name: `mpd ${i}`,
      async ask(turn) {
        const { text, A, B } = lists[turn % lists.length] as (typeof lists)[number]
        const said = await client.ask(text)
        const [a, b] = [A.test(said), B.test(said)]
        return [{ verdict: a && b ? 'either' : a ? 'A' : b ? 'B' : undefined, said: `${text}${said}` }]
      },
      close: () => client.close(),
    }
  })
  return [http, batch, rest, websocket, ...lines]
}

/** What each door is asked, 500 calls a second as far as the machine goes along. */
function startLoad(doors: readonly Door[]) {
  const load = {
    /** The policy that must be the one, when it is known. */
    inForce: 'A' as Side | undefined,
    calls: 0,
    bySide: { A: 0, B: 0, either: 0 },
    wrong: [] as string[],
  }
  const busy = new Set<Door>()
  let era = 0
  let turn = 0

  async function ask(door: Door): Promise<void> {
    busy.add(door)
    const [expected, began] = [load.inForce, era]
    try {
      for (const { verdict, said } of await door.ask(turn++)) {
        load.calls++
        const isSure = expected !== undefined && began === era
        if (verdict === undefined || (isSure && verdict !== 'either' && verdict !== expected)) {
          load.wrong.push(`${door.name}, by ${isSure ? expected : 'either'}: ${said}`)
        } else load.bySide[verdict]++
      }
    } catch (error) {
      load.wrong.push(`${door.name}: ${String(error)}`)
    } finally {
      busy.delete(door)
    }
  }
  const timer = setInterval(() => {
    for (const door of doors) if (!busy.has(door)) void ask(door)
  }, 20) // seven doors, of which one asks for four things: 500 a second
  return Object.assign(load, {
    change(side: Side | undefined) {
      era++
      load.inForce = side
    },
    async stop() {
      clearInterval(timer)
      await until(() => busy.size === 0)
      for (const door of doors) door.close()
    },
  })
}

async function figures() {
  const text = await (await fetch(`http://127.0.0.1:${metrics}/metrics`)).text()
  const value = (name: string) =>
    Number(
      text
        .split('\n')
        .find((line) => line.startsWith(`${name} `))
        ?.split(' ')[1],
    )
  return {
    applied: value('stagedoor_config_reloads_total{result="applied"}'),
    invalid: value('stagedoor_config_reloads_total{result="invalid"}'),
    successful: value('stagedoor_config_last_reload_successful'),
  }
}

const cli = (...args: string[]) =>
  run(process.execPath, [
    join(root, 'bin/stagedoor.js'),
    ...args,
    ...['--config', file, '--data', join(gateway.dir, 'data')],
  ])

/** Ways to put a text in the place of the file. */
const writers = {
  inPlace: (text: string) => writeFileSync(file, text),
  byRename(text: string) {
    writeFileSync(`${file}.new`, text)
    renameSync(`${file}.new`, file)
  },
}

/** And to have it noticed. */
const triggers = {
  watched: async () => {},
  hangUp: async () => void process.kill(gateway.pid, 'SIGHUP'),
  command: async () => {
    const { status, stdout, stderr } = await cli('reload')
    expect([status, stderr], stdout).toEqual([0, ''])
  },
}

/** What must not count, and least of all where it would allow more. */
const invalid: readonly ((text: string) => void)[] = [
  (text) => writeFileSync(file, text.slice(0, text.indexOf('volume.set'))),
  () => writeFileSync(file, ''),
  () => rmSync(file),
  () => {
    rmSync(file)
    mkdirSync(file)
  },
  (text) => writeFileSync(file, text.replace(/maxVolume: \d+/, 'maxVolume: 1000')),
  (text) => {
    const content = parse(text)
    content.roles.kid = { grants: [{ allow: ['*'] }], mode: 'anything' }
    writeFileSync(file, stringify(content))
  },
  (text) => writeFileSync(file, Buffer.concat([Buffer.from(text), Buffer.of(0x23, 0xff)])),
  (text) => writeFileSync(file, `${text}roles: { kid: { grants: [{ allow: ["*"] }] } }\n`),
]

describe('a reload under load', () => {
  test('50 reloads, half of them invalid: no call fails, and none is judged by half a policy', async () => {
    const load = startLoad(await openDoors())
    const more = async (count: number) => {
      const begin = load.calls
      await until(() => load.calls - begin >= count, 30_000)
    }
    await more(200)
    for (let i = 0; i < 25; i++) {
      const side: Side = i % 2 === 0 ? 'B' : 'A'
      const before = await figures()

      load.change(undefined)
      rmSync(file, { recursive: true, force: true })
      writers[i % 3 === 0 ? 'inPlace' : 'byRename'](valid[side])
      await triggers[(['hangUp', 'watched', 'command'] as const)[i % 3] as keyof typeof triggers]()
      await until(async () => (await figures()).applied > before.applied)
      load.change(side)
      await more(200)

      // The one in force stays so, whatever stands in the file now.
      invalid[i % invalid.length]?.(valid[side === 'A' ? 'B' : 'A'])
      if (i % 6 !== 0) await triggers.hangUp()
      await until(async () => (await figures()).invalid > before.invalid)
      expect(await figures()).toMatchObject({ successful: 0 })
      expect(JSON.parse((await gateway.http('/readyz')).body)).toMatchObject({ status: 'ready', config: 'invalid' })
      await more(200)
    }
    await load.stop()
    expect(load.wrong).toEqual([])
    expect(load.calls).toBeGreaterThan(10_000)
    for (const count of Object.values(load.bySide)) expect(count).toBeGreaterThan(1_000)
    const { applied, invalid: refused } = await figures()
    expect(applied).toBeGreaterThanOrEqual(25)
    expect(refused).toBeGreaterThanOrEqual(25)
  }, 300_000)

  test('`stagedoor reload` names every problem and leaves the gateway as it is', async () => {
    rmSync(file, { recursive: true, force: true })
    writeFileSync(file, `${valid.A}zone: Nowhere/Atall\nx: 1\n`)
    const { status, stdout, stderr } = await cli('reload')
    expect(status).toBe(1)
    expect(stdout).toMatch(/: zone: /)
    expect(stdout).toMatch(/: x: unknown key/)
    expect(stderr).toContain('the one before stays in force')
    expect(stdout).toBe((await cli('check')).stdout)
  })

  test('without a gateway it says so', async () => {
    writeFileSync(file, valid.A)
    const { status, stderr } = await run(process.execPath, [
      join(root, 'bin/stagedoor.js'),
      ...['reload', '--config', file, '--data', join(gateway.dir, 'nobody')],
    ])
    expect(status).toBe(1)
    expect(stderr).toContain('no gateway runs with')
  })
})

/** A gateway in a terminal of its own: gets SIGHUP, and then has its terminal closed. */
const inTerminal = `
import json, os, pty, signal, sys, time
words = json.loads(sys.stdin.read())
pid, terminal = pty.fork()
if pid == 0:
    os.execv(words[0], words)
text = ''
def wait(word):
    global text
    while word not in text:
        text += os.read(terminal, 65536).decode(errors='replace')
wait('Its SHA-256 is')
os.kill(pid, signal.SIGHUP)
wait('nothing new')
print('reloaded', os.waitpid(pid, os.WNOHANG)[0], flush=True)
os.close(terminal)
print('ended', os.waitpid(pid, 0)[1])
`

test('in a terminal SIGHUP is a reload, and closing the terminal the end', async () => {
  const [https, mpd] = [await freePort(), await freePort()]
  const own = join(gateway.dir, 'terminal.yaml')
  const { players, roles, tls } = parse(valid.A)
  writeFileSync(own, stringify({ listen: { https: { port: https }, mpd: { port: mpd } }, tls, players, roles }))
  const data = join(gateway.dir, 'terminal')
  const words = [process.execPath, join(root, 'bin/stagedoor.js'), 'serve', '--config', own, '--data', data]
  const { stdout, stderr } = await python(inTerminal, { input: JSON.stringify(words), timeout: 50_000 })
  expect([stdout, stderr]).toEqual(['reloaded 0\nended 0\n', ''])
})
