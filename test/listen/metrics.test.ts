import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createMetrics, openMetrics } from '../../src/listen/metrics.ts'

const at = Date.UTC(2026, 0, 1)
const create = (players: Record<string, boolean> = { home: true, attic: false }) =>
  createMetrics({
    players: new Map(Object.entries(players).map(([name, up]) => [name, { up }])),
    version: '1.2.3',
    at,
  })
const samples = (written: string) => written.split('\n').filter((line) => line !== '' && !line.startsWith('#'))

describe('what is written', () => {
  test('is what is there at the start', () => {
    expect(samples(create().write())).toEqual([
      `stagedoor_build_info{version="1.2.3",node="${process.versions.node}"} 1`,
      'stagedoor_config_last_reload_successful 1',
      'stagedoor_config_last_reload_success_timestamp_seconds 1767225600',
      'stagedoor_config_reloads_total{result="applied"} 0',
      'stagedoor_config_reloads_total{result="invalid"} 0',
      'stagedoor_player_up{player="home"} 1',
      'stagedoor_player_up{player="attic"} 0',
    ])
  })

  test('counts decisions by outcome and door', () => {
    const metrics = create()
    for (const door of ['mpd', 'http', 'mpd'] as const) metrics.decided({ outcome: 'allowed', door })
    metrics.decided({ outcome: 'denied', door: 'mpd' })
    expect(samples(metrics.write()).filter((line) => line.includes('decisions'))).toEqual([
      'stagedoor_decisions_total{outcome="allowed",door="mpd"} 2',
      'stagedoor_decisions_total{outcome="allowed",door="http"} 1',
      'stagedoor_decisions_total{outcome="denied",door="mpd"} 1',
    ])
  })

  test('says of a reload whether it went well, and when one last did', () => {
    const metrics = create()
    const reloads = () => samples(metrics.write()).filter((line) => line.includes('config'))
    metrics.reloaded('invalid', at + 5_000)
    expect(reloads()).toEqual([
      'stagedoor_config_last_reload_successful 0',
      'stagedoor_config_last_reload_success_timestamp_seconds 1767225600',
      'stagedoor_config_reloads_total{result="applied"} 0',
      'stagedoor_config_reloads_total{result="invalid"} 1',
    ])
    metrics.reloaded('applied', at + 7_500)
    expect(reloads()).toEqual([
      'stagedoor_config_last_reload_successful 1',
      'stagedoor_config_last_reload_success_timestamp_seconds 1767225607.5',
      'stagedoor_config_reloads_total{result="applied"} 1',
      'stagedoor_config_reloads_total{result="invalid"} 1',
    ])
  })

  test('explains each name once, and ends with a line break', () => {
    const written = create().write()
    const names = [...written.matchAll(/^# (HELP|TYPE) (\w+) /gm)].map(([, kind, name]) => `${kind} ${name}`)
    expect(new Set(names).size).toBe(names.length)
    expect(names).toHaveLength(12)
    expect(written.endsWith('\n')).toBe(true)
  })

  test('quotes what would end a label', () => {
    expect(create({ 'a"b\\c\nd': true }).write()).toContain('stagedoor_player_up{player="a\\"b\\\\c\\nd"} 1\n')
  })
})

describe('the door', () => {
  async function open(host = '127.0.0.1') {
    const warnings: unknown[] = []
    const log = { warn: (about: object, words: string) => warnings.push([about, words]) }
    const door = await openMetrics({ host, port: 0, metrics: create(), names: ['music.home'], log })
    onTestFinished(() => door.close())
    return { ...door, warnings }
  }
  async function ask(port: number, lines: string): Promise<string> {
    const socket = connect(port, '127.0.0.1')
    socket.write(`${lines.replaceAll('\n', '\r\n')}\r\n\r\n`)
    return text(socket)
  }

  test.each(['localhost', '127.0.0.1:9680', 'music.home', '[::1]'])('answers under %s', async (host) => {
    const { port, warnings } = await open()
    const answer = await ask(port, `GET /metrics HTTP/1.1\nHost: ${host}\nConnection: close`)
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    expect(answer).toContain('content-type: text/plain; version=0.0.4; charset=utf-8\r\n')
    expect(answer).toContain('\r\n\r\n# HELP stagedoor_build_info ')
    expect(warnings).toEqual([])
  })

  test.each([
    ['a name that is not ours: a page of another house', 'GET /metrics HTTP/1.1\nHost: evil.example', 421],
    ['no name', 'GET /metrics HTTP/1.1\nHost:', 400],
    ['two names', 'GET /metrics HTTP/1.1\nHost: localhost\nHost: evil.example', 400],
    ['another path', 'GET / HTTP/1.1\nHost: localhost', 404],
    ['another spelling', 'GET /metrics/ HTTP/1.1\nHost: localhost', 404],
    ['a question', 'GET /metrics?debug=1 HTTP/1.1\nHost: localhost', 404],
    ['another method', 'POST /metrics HTTP/1.1\nHost: localhost\nContent-Length: 0', 405],
    ['a body', 'GET /metrics HTTP/1.1\nHost: localhost\nContent-Length: 2\n\nab', 400],
    ['another host as target', 'GET http://evil.example/metrics HTTP/1.1\nHost: localhost', 404],
    ['what is not HTTP', 'status', 400],
    ['very many headers', `GET /metrics HTTP/1.1\nHost: localhost\nX: ${'x'.repeat(10_000)}`, 431],
  ])('refuses %s, and ends the connection', async (_, lines, status) => {
    const { port } = await open()
    const answer = await ask(port, lines)
    expect(Number(answer.split(' ')[1])).toBe(status)
    expect(answer).not.toContain('stagedoor_')
  })

  test('does not become a tunnel or another protocol', async () => {
    const { port } = await open()
    expect(await ask(port, 'CONNECT 127.0.0.1:22 HTTP/1.1\nHost: localhost')).not.toContain(' 200 ')
    const upgrade = 'GET /metrics HTTP/1.1\nHost: localhost\nConnection: upgrade, close\nUpgrade: websocket'
    expect(await ask(port, upgrade)).not.toContain(' 101 ')
  })

  test('that is open to the network is told of', async () => {
    const { warnings } = await open('0.0.0.0')
    expect(warnings).toEqual([[{ host: '0.0.0.0', port: expect.any(Number) }, expect.stringContaining('network')]])
  })
})
