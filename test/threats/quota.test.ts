import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect } from 'vitest'
import { ask, openMpd, openWs } from './clients.ts'
import { attack, type House, type HouseOptions, openHouse, type Person } from './harness.ts'

const hour = 3_600_000

/** Six skips an hour, and four songs. The shipped kid may not skip. */
const child = {
  grants: [{ allow: ['status.read', 'queue.read', 'playback.control', 'playback.skip', 'queue.add', 'queue.clear'] }],
  quotas: { 'playback.skip': '6/1h', 'queue.add': '4/1h' },
}
/** As much and no more, whoever carries it. */
const lender = { grants: [{ allow: ['*'] }], quotas: { 'playback.skip': '2/1h' } }

const openQuotaHouse = (options: HouseOptions) =>
  openHouse({ ...options, change: (config) => ({ ...config, roles: { ...config.roles, child, lender } }) })

const next = { jsonrpc: '2.0', id: 1, method: 'core.playback.next' }
const add = (count: number) => ({
  jsonrpc: '2.0',
  id: 1,
  method: 'core.tracklist.add',
  params: { uris: Array.from({ length: count }, (_, i) => `local:track:${i}`) },
})

/** One skip over HTTP: 0 when it went, else the code of the error. */
async function skip(house: House, token: string): Promise<number> {
  return (await ask(house, '/mopidy/rpc', { token, json: next })).json.error?.code ?? 0
}

async function skips(house: House, token: string, count: number): Promise<number[]> {
  const codes = []
  for (let i = 0; i < count; i++) codes.push(await skip(house, token))
  return codes
}

async function left(house: House, token: string, capability = 'playback.skip'): Promise<Record<string, unknown>> {
  const { json } = await ask(house, '/auth/me', { token })
  const quotas = json.quotas as unknown as readonly Record<string, unknown>[]
  return quotas.find((each) => each.capability === capability) ?? {}
}

/** What of it reached the player. */
const played = ({ demo }: House) =>
  demo.received.websocket.filter((text) => text.includes('core.playback.next')).length +
  demo.received.mpd.flatMap((text) => text.split('\n')).filter((line) => line === 'next').length

const reaches = [
  /^next$/,
  /^core\.tracklist\.get_/,
  /^core\.playback\.next /,
  /^core\.tracklist\.add /,
  /^core\.playback\.get_state /,
]
const refused = /^ACK \[52@0\] \{next\} not more than 6 playback\.skip in 1 h: again (at|in) /

attack(
  'Quotas',
  [
    {
      id: 'Q1',
      attack: 'one connects anew, by another door and from another address',
      reaches,
      async run(house) {
        const { token } = house.person('child')
        for (let i = 0; i < 2; i++) {
          const mpd = await openMpd(house, { token, from: house.address() })
          expect(await mpd.ask('next\n')).not.toMatch(/ACK \[52/)
          mpd.close()
          const ws = await openWs(house, { token, from: house.address() })
          expect(await ws.rpc(next)).not.toHaveProperty('error')
          ws.close()
          expect(await skip({ ...house, from: house.address() }, token)).toBe(0)
        }
        const mpd = await openMpd(house, { token, from: house.address() })
        expect(await mpd.ask('next\n')).toMatch(refused)
        mpd.close()
        const ws = await openWs(house, { token, from: house.address() })
        expect(await ws.rpc(next)).toMatchObject({ error: { code: -32029, data: { limit: 6, remaining: 0 } } })
        ws.close()
        expect(await skip(house, token)).toBe(-32029)
        expect(played(house)).toBe(6)
      },
    },
    {
      id: 'Q2',
      attack: 'a second device token, and an account that is renamed',
      reaches,
      async run(house) {
        const mine = house.person('child')
        expect(await skips(house, mine.token, 3)).toEqual([0, 0, 0])
        expect(await skips(house, house.tokenOf(mine), 4)).toEqual([0, 0, 0, -32029])
        rename(house, mine)
        expect(await skip(house, house.tokenOf(mine))).toBe(-32029)
        // A token's own role binds besides.
        const lent = house.person('owner')
        expect(await skips(house, house.tokenOf(lent, { role: 'lender' }), 3)).toEqual([0, 0, -32029])
        expect(await skip(house, lent.token)).toBe(0)
      },
    },
    {
      id: 'Q3',
      attack: 'many in one message: a batch, a list of a hundred, all songs of a list',
      reaches,
      async run(house) {
        const mine = house.person('child')
        const mpd = await openMpd(house, mine)
        const list = `command_list_begin\n${'next\n'.repeat(100)}command_list_end\n`
        expect(await mpd.ask(list)).toMatch(/^ACK \[52@6\] \{next\} not more than 6/)
        expect(played(house)).toBe(0)
        expect(await left(house, mine.token)).toMatchObject({ remaining: 6, reset: 0 })
        const batch = await ask(house, '/mopidy/rpc', {
          token: mine.token,
          json: Array.from({ length: 10 }, () => next),
        })
        const codes = (batch.json as unknown as { error?: { code: number } }[]).map(({ error }) => error?.code ?? 0)
        expect(codes).toEqual([0, 0, 0, 0, 0, 0, -32029, -32029, -32029, -32029])
        expect(played(house)).toBe(6)
        mpd.close()
      },
    },
    {
      id: 'Q4',
      attack: 'many songs in one call',
      reaches,
      async run(house) {
        const { token } = house.person('child')
        const put = async (count: number) =>
          (await ask(house, '/mopidy/rpc', { token, json: add(count) })).json.error as
            | undefined
            | { code: number; message: string; data: object }
        expect(await put(5)).toMatchObject({
          code: -32003,
          message: 'not more than 4 queue.add in 1 h, and these are 5',
        })
        expect(await put(3)).toBeUndefined()
        expect(await put(2)).toMatchObject({ code: -32029, data: { remaining: 1, limit: 4 } })
        expect(await put(1)).toBeUndefined()
        expect(await left(house, token, 'queue.add')).toMatchObject({ limit: 4, window: 3600, remaining: 0 })
      },
    },
    {
      id: 'Q5',
      attack: 'two connections race for the last ones',
      reaches,
      async run(house) {
        const { token } = house.person('child')
        const [one, two, mpd] = await Promise.all([
          openWs(house, { token, from: house.address() }),
          openWs(house, { token, from: house.address() }),
          openMpd(house, { token, from: house.address() }),
        ])
        const all = await Promise.all([
          ...Array.from({ length: 10 }, () => [one.rpc(next), two.rpc(next)]).flat(),
          ...Array.from({ length: 10 }, () => mpd.ask('next\n')),
          ...Array.from({ length: 5 }, () => skip({ ...house, from: house.address() }, token)),
        ])
        const went = all.filter((answer) => {
          if (typeof answer === 'number') return answer === 0
          return typeof answer === 'string' ? !refused.test(answer) : !('error' in answer)
        })
        expect(went).toHaveLength(6)
        expect(played(house)).toBe(6)
        for (const each of [one, two, mpd]) each.close()
      },
    },
    {
      id: 'Q6',
      attack: 'one waits for a while, and the clock goes back and forth',
      disturbs: true,
      reaches,
      async run(house) {
        const mine = house.person('child')
        expect(await skips(house, mine.token, 3)).toEqual([0, 0, 0])
        house.jump(hour / 2)
        expect(await skips(house, mine.token, 4)).toEqual([0, 0, 0, -32029])
        house.jump(-hour / 4)
        expect(await skip(house, mine.token)).toBe(-32029)
        house.jump(hour / 4)
        expect(await skip(house, mine.token)).toBe(-32029)
        // The first three are an hour old, and no more than those come back.
        house.jump(hour / 2)
        expect(await skips(house, mine.token, 4)).toEqual([0, 0, 0, -32029])
      },
    },
    {
      id: 'Q7',
      attack: 'the database is held by somebody else: what it should count does not go, all else does',
      reaches,
      async run(house) {
        const mine = house.person('child')
        expect(await skip(house, mine.token)).toBe(0)
        const other = new DatabaseSync(join(house.data, 'quota.sqlite'))
        other.exec('BEGIN IMMEDIATE')
        const answer = await ask(house, '/mopidy/rpc', { token: mine.token, json: next })
        expect(answer.json.error).toMatchObject({ code: -32603, data: { rule: 'roles.child.quotas.playback.skip' } })
        expect(answer.text).toContain('cannot be counted')
        expect(answer.text).not.toContain('sqlite')
        const mpd = await openMpd(house, mine)
        expect(await mpd.ask('next\n')).toMatch(/^ACK \[52@0\] \{next\} what is left/)
        expect(await mpd.ask('status\n')).toMatch(/^OK\n$/m)
        expect(await skip(house, house.owner.token)).toBe(0)
        other.exec('ROLLBACK')
        other.close()
        expect(await skips(house, mine.token, 6)).toEqual([0, 0, 0, 0, 0, -32029])
        expect(house.log.some(({ msg }) => String(msg).startsWith('quotas cannot be counted'))).toBe(true)
        mpd.close()
      },
    },
    {
      id: 'Q8',
      attack: 'calls that never go use up what somebody has',
      reaches,
      async run(house) {
        const mine = house.person('child')
        const mpd = await openMpd(house, mine)
        for (let i = 0; i < 10; i++) {
          expect(await mpd.ask('command_list_begin\nnext\nkill\ncommand_list_end\n')).toMatch(/^ACK \[4@1\]/)
          expect(await mpd.ask('next now\n')).toMatch(/^ACK /)
        }
        const stranger = await ask(house, '/mopidy/rpc', { json: next })
        expect(stranger.status).toBe(401)
        expect(await left(house, mine.token)).toEqual({
          capability: 'playback.skip',
          limit: 6,
          window: 3600,
          remaining: 6,
          reset: 0,
        })
        expect((await ask(house, '/auth/me', { token: house.member.token })).json.quotas).toEqual([])
        mpd.close()
      },
    },
    {
      id: 'Q9',
      attack: 'the gateway is started anew',
      async run(house) {
        const again = await openQuotaHouse({ data: house.data, people: 0 })
        const token = house.person('child').token
        const before = await reopened(again, token)
        expect(before).toBe(6)
        await again.close()
        const third = await openQuotaHouse({ data: house.data, people: 0 })
        expect(await skip(third, token)).toBe(-32029)
        expect(await left(third, token)).toMatchObject({ remaining: 0 })
        await third.close()
      },
    },
  ],
  openQuotaHouse,
)

/** How many went at a gateway that has just begun. */
async function reopened(house: House, token: string): Promise<number> {
  const codes = await skips(house, token, 8)
  return codes.filter((code) => code !== -32029).length
}

/** No command does it yet, so by hand: the account keeps its number. */
function rename(house: House, { id }: Person): void {
  const db = new DatabaseSync(join(house.data, 'accounts.sqlite'))
  const columns = db.prepare('PRAGMA table_info(account)').all()
  const folded = columns.some(({ name }) => name === 'folded') ? ', folded = ?' : ''
  db.prepare(`UPDATE account SET name = ?${folded} WHERE id = ?`).run(...['other', ...(folded ? ['other'] : []), id])
  db.close()
}
