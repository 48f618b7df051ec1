import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import Schema from 'typebox/schema'
import { afterAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { readConfig } from '../src/config/load.ts'
import { createServer as createCertificate, createKey, day } from '../src/listen/certificate.ts'

// No container engine is asked for: the file is held against the specification's schema and against what must be true
// of it whatever else changes. What only a running engine can show is listed in docs/docker.md.

type Service = Readonly<Record<string, unknown>>

const root = new URL('..', import.meta.url)
const text = (path: string) => readFileSync(new URL(path, root), 'utf8')
/** As compose does it, for somebody who has set nothing. */
const interpolated = text('docker-compose.yml').replace(/\$\{\w+(?::-([^}]*))?\}/g, '$1')
const compose: { services: Readonly<Record<string, Service>>; volumes: object } = parse(interpolated, { merge: true })
const services = Object.entries(compose.services)
const schema = Schema.Compile(JSON.parse(text('test/corpus/compose-spec.json')))

describe('the compose file', () => {
  it('is one, by the schema of the specification', () => {
    expect(schema.Errors(compose)[1]).toEqual([])
    expect(schema.Check(compose)).toBe(true)
  })

  it.each([
    ['an unknown key', { services: { gateway: { imag: 'x' } } }],
    ['a wrong type', { services: { gateway: { image: 'x', read_only: [1] } } }],
    ['an unknown condition', { services: { gateway: { image: 'x', depends_on: { a: { condition: 'soon' } } } } }],
    ['an unknown section', { ...compose, extra: {} }],
  ])('the schema would refuse %s', (_name, broken) => {
    expect(schema.Check(broken)).toBe(false)
  })

  it('has a default for every variable, so nothing must be set first', () => {
    for (const [whole] of text('docker-compose.yml').matchAll(/\$\{[^}]*\}/g)) expect(whole).toMatch(/^\$\{\w+:-.*\}$/)
  })
})

describe('nothing but the two doors of the gateway can be reached', () => {
  it('the gateway publishes 8443 and 6601, and nobody else publishes anything', () => {
    const published = services.filter(([, service]) => 'ports' in service).map(([name]) => name)
    expect(published).toEqual(['gateway'])
    const ports = compose.services.gateway?.ports as { target: number; published: string }[]
    expect(ports.map(({ target, published }) => [target, published])).toEqual([
      [8443, '8443'],
      [6601, '6601'],
    ])
  })

  it('a player has no network but that of the gateway', () => {
    expect(services.map(([name]) => name)).toEqual(['gateway', 'mopidy'])
    for (const [name, service] of services.filter(([name]) => name !== 'gateway')) {
      expect(service.network_mode, name).toBe('service:gateway')
      expect(service, name).not.toHaveProperty('networks')
    }
  })

  it('what a player begins can be kept out of the home network: the fence is for the interface that compose names', () => {
    const { default: network } = (compose as unknown as { networks: Record<string, { driver_opts: object }> }).networks
    expect(network?.driver_opts).toEqual({ 'com.docker.network.bridge.name': 'stagedoor0' })
    const chains = text('docker/fence.nft').match(/iifname "(\w+)" ct state new/g)
    expect(chains).toEqual(Array(2).fill('iifname "stagedoor0" ct state new'))
    // What the gateway takes for somebody's own, the fence does too.
    for (const range of ['10.0.0.0/8', '100.64.0.0/10', '169.254.0.0/16', '172.16.0.0/12', '192.168.0.0/16']) {
      expect(text('docker/fence.nft')).toContain(range)
    }
  })

  it('Mopidy listens on loopback, at the addresses the shipped configuration knows, and announces nothing', () => {
    const conf = new Map<string, string>()
    let section = ''
    for (const line of text('docker/mopidy/mopidy.conf').split('\n')) {
      const [, header] = /^\[(\w+)\]$/.exec(line) ?? []
      const [, key, value] = /^(\w+) *=[ ]*(.*)$/.exec(line) ?? []
      if (header) section = header
      else if (key) conf.set(`${section}/${key}`, value ?? '')
    }
    for (const door of ['http', 'mpd']) {
      expect(conf.get(`${door}/hostname`), door).toBe('127.0.0.1')
      expect(conf.get(`${door}/zeroconf`), door).toBe('')
    }
    expect(conf.get('file/enabled')).toBe('false')
    const { config } = readConfig(text('config/stagedoor.yaml'), 'config/stagedoor.yaml', { env: {}, read: () => '' })
    const [player] = config?.players.values() ?? []
    expect(player).toMatchObject({
      kind: 'mopidy',
      http: `http://127.0.0.1:${conf.get('http/port')}`,
      mpd: `127.0.0.1:${conf.get('mpd/port')}`,
    })
  })

  it('the names that STAGEDOOR_NAMES gives reach the certificate', () => {
    const environment = compose.services.gateway?.environment as Record<string, unknown>
    expect(Object.keys(environment)).toEqual(['STAGEDOOR_NAMES', 'TZ'])
    const { config } = readConfig(text('config/stagedoor.yaml'), 'config/stagedoor.yaml', {
      env: { STAGEDOOR_NAMES: 'music.lan,192.0.2.5' },
      read: () => '',
    })
    expect(config?.listen.https.names).toEqual(['music.lan', '192.0.2.5'])
  })
})

describe.each(services)('the service %s', (_name, service) => {
  it('runs as somebody, not as root', () => {
    const [user, group] = String(service.user).split(':').map(Number)
    expect(user).toBeGreaterThanOrEqual(1000)
    expect(group).toBeGreaterThanOrEqual(1000)
  })

  it('has no capability, cannot gain one, and cannot change its own image', () => {
    expect(service.cap_drop).toEqual(['ALL'])
    expect(service.security_opt).toEqual(['no-new-privileges:true'])
    expect(service.read_only).toBe(true)
    for (const key of ['privileged', 'cap_add', 'devices', 'pid', 'ipc', 'userns_mode', 'cgroup', 'volumes_from']) {
      expect(service).not.toHaveProperty(key)
    }
    expect(service.network_mode).not.toBe('host')
  })

  it('writes to named volumes and to a bounded /tmp only', () => {
    const volumes = service.volumes as { type: string; source: string; read_only?: boolean }[]
    for (const { type, source, read_only } of volumes) {
      if (type === 'bind') expect([source, read_only]).toEqual(['./config', true])
      else expect(Object.keys(compose.volumes)).toContain(source)
    }
    expect(interpolated).not.toContain('docker.sock')
    expect(service.tmpfs).toEqual([expect.stringMatching(/^\/tmp:rw,.*nosuid,nodev,size=\d+m$/)])
  })

  it('has limits of memory, processors and processes, is watched and comes back', () => {
    expect(service.mem_limit).toMatch(/^\d+m$/)
    expect(service.memswap_limit).toBe(service.mem_limit)
    expect(service.cpus).toBeGreaterThan(0)
    expect(service.pids_limit).toBeGreaterThan(0)
    expect(service.healthcheck).toMatchObject({ test: expect.arrayContaining(['CMD']), retries: 3 })
    expect(service.restart).toBe('unless-stopped')
  })

  it('is built here, under a version', () => {
    expect(service.build).toBeDefined()
    expect(service.image).toMatch(/:\d+\.\d+\.\d+$/)
  })
})

describe('the images', () => {
  const dockerfiles = ['Dockerfile', 'docker/mopidy/Dockerfile']

  it.each(dockerfiles)('%s begins with a named release and ends as an ordinary user', (path) => {
    const lines = text(path).replaceAll('\\\n', ' ').split('\n')
    const bases = lines.filter((line) => line.startsWith('FROM ')).map((line) => line.split(' ')[1] ?? '')
    expect(bases.length).toBeGreaterThan(0)
    for (const base of bases) expect(['node:26-bookworm-slim', 'debian:bookworm-slim']).toContain(base)
    expect(lines.findLast((line) => line.startsWith('USER '))).toMatch(/^USER (?:node|player)$/)
    expect(lines.findLastIndex((line) => line.startsWith('RUN '))).toBeLessThan(
      lines.findLastIndex((line) => line.startsWith('USER ')),
    )
    expect(text(path)).not.toMatch(/:latest|^ADD |curl |wget /m)
  })

  it('the gateway’s takes from the folder only what exists and what .dockerignore lets in', () => {
    const allowed = text('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1))
    expect(text('.dockerignore')).toMatch(/^\*$/m)
    for (const [, from = ''] of text('Dockerfile').matchAll(/^COPY (?!--from)(.+) \S+$/gm)) {
      for (const source of from.split(' ')) {
        expect(existsSync(new URL(source, root)), source).toBe(true)
        expect(allowed, source).toContain(source)
      }
    }
    // What is let in is what is copied; no key, database or history can slip into a layer.
    for (const path of allowed) expect(text('Dockerfile'), path).toContain(path.split('/')[0])
    expect(allowed.join(' ')).not.toMatch(/certs|data|\.git/)
  })

  it('carry the version of the package', () => {
    const { version } = JSON.parse(text('package.json'))
    for (const [name, service] of services) expect(String(service.image), name).toMatch(new RegExp(`:${version}$`))
  })
})

describe('the health check of the gateway', () => {
  const servers: ReturnType<typeof createServer>[] = []
  afterAll(() => {
    for (const server of servers) server.close()
  })

  async function check(status: number): Promise<number | null> {
    const now = Date.now()
    const pair = await createCertificate({ key: createKey(), until: now + day }, ['elsewhere.example'], now)
    const server = createServer(pair, (request, answer) =>
      answer.writeHead(request.url === '/healthz' ? status : 404).end(),
    )
    servers.push(server)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return run((server.address() as AddressInfo).port)
  }

  async function run(port: number): Promise<number | null> {
    const script = new URL('docker/healthcheck.js', root).pathname
    const [code] = await once(spawn(process.execPath, [script, String(port)], { stdio: 'ignore' }), 'exit')
    return code as number | null
  }

  it('is well on 200 whatever the certificate’s name, ill on anything else and where nobody answers', async () => {
    expect(await check(200)).toBe(0)
    expect(await check(503)).toBe(1)
    expect(await run(1)).toBe(1)
  })
})
