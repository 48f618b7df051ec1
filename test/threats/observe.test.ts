import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect } from 'vitest'
import { run as learn } from '../../src/cli/learn.ts'
import { until } from '../real/tools.ts'
import { call, openMpd, openWs } from './clients.ts'
import { attack, type House, type HouseOptions, openHouse, type Person, type Row } from './harness.ts'

/** The shipped house, but that its kids are only observed. */
const openObserved = (options: HouseOptions) =>
  openHouse({
    ...options,
    change: (config) => ({
      ...config,
      roles: { ...config.roles, kid: { grants: [], ...config.roles.kid, mode: 'observe' } },
    }),
  })

/** What was recorded of one person's calls, in words. */
function recorded({ log }: House, { id }: Person): string[] {
  return log
    .filter(({ account, msg }) => account === id && msg === 'decision')
    .map(({ door, operation, outcome, reason, says }) =>
      [door, operation, outcome, reason ?? '', says ?? ''].join(' · '),
    )
}

const refused = -32003

/** Somebody's answers to one call over HTTP and WebSocket: the codes of the errors, 0 for a result. */
async function overRpc(house: House, { token }: Person, method: string, params: object = {}): Promise<number[]> {
  const ws = await openWs(house, { token })
  const message = { jsonrpc: '2.0', id: 1, method, params }
  const codes = [await call(house, token, method, params), (await ws.rpc(message)).error?.code ?? 0]
  ws.close()
  return codes
}

const rows: readonly Row[] = [
  {
    id: 'B1',
    attack: 'what outlives a song, by one who is only observed',
    async run(house) {
      const mpd = await openMpd(house, house.kid)
      for (const line of ['kill', 'mount "a" "nfs://h/"', 'unmount "a"']) {
        expect(await mpd.ask(`${line}\n`), line).toMatch(/^ACK \[4@0\]/)
      }
      mpd.close()
      expect(recorded(house, house.kid)[0]).toMatch(/^mpd · kill · denied · [\w-]+ · not allowed: server\.admin/)
    },
  },
  {
    id: 'B2',
    attack: 'what is refused to everybody',
    async run(house) {
      expect(await overRpc(house, house.kid, 'core.playback.set_state', { new_state: 'playing' })).toEqual([
        refused,
        refused,
      ])
      const mpd = await openMpd(house, house.kid)
      expect(await mpd.ask('newpartition x\n')).toMatch(/^ACK \[4@0\] \{newpartition\} .*not offered here/)
      mpd.close()
    },
  },
  {
    id: 'B3',
    attack: 'the other machines of the house, tried out while nothing binds',
    async run(house) {
      for (const uri of [
        'http://169.254.169.254/latest/',
        'http://127.0.0.1:6680/',
        'http://[::1]/',
        'http://192.168.0.1/',
      ]) {
        expect(await overRpc(house, house.kid, 'core.tracklist.add', { uris: [uri] }), uri).toEqual([refused, refused])
        const mpd = await openMpd(house, house.kid)
        expect(await mpd.ask(`add "${uri}"\n`), uri).toMatch(/^ACK \[4@0\]/)
        mpd.close()
      }
    },
  },
  {
    id: 'B4',
    attack: 'files and addresses that nobody may write',
    async run(house) {
      const mpd = await openMpd(house, house.kid)
      for (const uri of ['/etc/passwd', 'local:track:../../x', 'file:///etc/../etc/passwd']) {
        expect(await mpd.ask(`add "${uri}"\n`), uri).toMatch(/^ACK \[[24]@0\]/)
      }
      mpd.close()
    },
  },
  {
    id: 'B5',
    attack: 'out of a token that is bound to a lesser role',
    async run(house) {
      const token = house.tokenOf(house.kid, { role: 'guest' })
      const mpd = await openMpd(house, { token })
      for (const line of ['clear', 'setvol 90', 'next', 'kill']) {
        expect(await mpd.ask(`${line}\n`), line).toMatch(/^ACK \[4@0\]/)
      }
      mpd.close()
      expect(await overRpc(house, { ...house.kid, token }, 'core.mixer.set_volume', { volume: 90 })).toEqual([
        refused,
        refused,
      ])
    },
  },
  {
    id: 'B6',
    attack: 'a token of the observed role, by an owner: more than that role',
    async run(house) {
      const mpd = await openMpd(house, { token: house.tokenOf(house.owner, { role: 'kid' }) })
      expect(await mpd.ask('kill\n')).toMatch(/^ACK \[4@0\]/)
      mpd.close()
    },
  },
  {
    id: 'B7',
    attack: 'above the ceiling, past the quota, without a trace',
    reaches: [/^core\.mixer\.set_volume \{"volume":9[01]\}$/, /^setvol "?92"?$/],
    async run(house) {
      expect(await overRpc(house, house.kid, 'core.mixer.set_volume', { volume: 90 })).toEqual([0, 0])
      const mpd = await openMpd(house, house.kid)
      expect(await mpd.ask('setvol 92\n')).toBe('OK\n')
      mpd.close()
      const says = 'not allowed: maxVolume 40'
      expect(recorded(house, house.kid)).toEqual([
        `http · core.mixer.set_volume · allowed · observed · ${says}`,
        `websocket · core.mixer.set_volume · allowed · observed · ${says}`,
        `mpd · setvol · allowed · observed · ${says}`,
      ])
    },
  },
  {
    id: 'B8',
    attack: 'on after the account was disabled',
    async run(house) {
      const mpd = await openMpd(house, house.kid)
      house.accounts.setDisabled(house.kid.id, true)
      expect(await until(async () => (await call(house, house.kid.token, 'core.playback.get_state')) !== 0)).toBe(true)
      await mpd.end()
    },
  },
  {
    id: 'B9',
    attack: 'to be proposed more than a kid should have, by trying out everything',
    reaches: [/^core\.mixer\.set_volume \{"volume":95\}$/, /^core\.tracklist\.(?:add|clear)/, /^core\.library\.lookup/],
    async run(house) {
      const { token } = house.kid
      for (const uri of ['http://169.254.169.254/', 'null:x', 'on:x', 'spotify:x%0a- allow: ["*"]', 'local:x']) {
        await call(house, token, 'core.tracklist.add', { uris: [uri] })
      }
      await call(house, token, 'core.mixer.set_volume', { volume: 95 })
      await call(house, token, 'core.tracklist.clear')
      const mpd = await openMpd(house, house.kid)
      await mpd.ask('kill\n')
      mpd.close()
      const file = join(dirname(house.data), 'learn.yaml')
      writeFileSync(
        file,
        'players: { home: { kind: mpd, mpd: "127.0.0.1:6600" } }\nroles: { kid: { grants: [{ allow: [status.read] }] } }\n',
      )
      const proposal = await until(async () => {
        const out: string[] = []
        const io = { stdin: async () => '', data: house.data, config: file, env: {}, now: house.now }
        await learn(['--role', 'kid', '--since', '1h'], { ...io, out: (line) => out.push(line), err: () => {} })
        const text = out.join('\n')
        return text.includes('maxVolume: 95') ? text : undefined // it is written twice a second
      })
      expect(proposal).toContain('- queue.clear # once')
      expect(proposal).not.toMatch(/^[^#]*(?:server\.admin|player\.takeover|169\.254|"\*")/m)
      expect(proposal).toMatch(/uriSchemes: \["local","null","on"/)
    },
  },
]

attack('a role that is only observed', rows, openObserved)
