import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { connect as connectTcp } from 'node:net'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { expect } from 'vitest'
import { readConfig } from '../../src/config/load.ts'
import { defaults } from '../../src/config/schema.ts'
import { createClient, createKey, fingerprintOf } from '../../src/listen/certificate.ts'
import { until } from '../real/tools.ts'
import { ask, dial, ended, knock, openMpd, openPlain } from './clients.ts'
import { openForge } from './forge.ts'
import { attack, type House, type HouseOptions, heard, openHouse, type Person, password, root } from './harness.ts'

/** Everybody of the harness comes from 127.1.0.0/16. */
const openBothDoors = (options: HouseOptions) =>
  openHouse({
    ...options,
    change: (config) => ({
      ...config,
      listen: {
        ...config.listen,
        plainMpd: {
          ...defaults.mpdDoor,
          host: '::',
          port: 0,
          from: ['127.1.0.0/16'],
          roles: ['guest'],
          connectionsEach: 8,
        },
      },
    }),
  })

const refusal = /^ACK \[4@0\] \{\w+\} [^\n]*\n$/
const wrong = /^ACK \[3@0\] \{password\} incorrect password/
const day = 86_400_000

/** A device's certificate, as the command line gives it. */
async function certify(house: House, person: Person, limits: { expires?: number; role?: string } = {}) {
  const until = Math.ceil((limits.expires ?? house.now() + 30 * day) / 1000) * 1000
  const pair = await createClient('phone', house.now(), until)
  const fingerprint = fingerprintOf(new X509Certificate(pair.cert))
  const given = { account: person.id, label: 'phone', role: limits.role ?? null, players: null, expires: until }
  return { ...pair, token: house.accounts.createCertificate(given, fingerprint) }
}

/** All that the MPD door says to who shows this certificate, and asks for something that strangers may not. */
async function show(house: House, tls: { cert: string; key: string }): Promise<string> {
  const socket = await dial(house, 'mpd', tls)
  const all = ended(socket)
  socket.write('clear\nstatus\nclose\n')
  return all
}

attack(
  'The other ways in',
  [
    {
      id: 'N1',
      attack: 'the plain door from an address outside of its ranges',
      async run(house) {
        for (const from of ['127.0.0.1', '127.2.0.1', '127.0.1.1', '127.255.1.0']) {
          const socket = await knock(house, 'plain', from)
          const all = ended(socket)
          socket.write(`password ${house.owner.token}\nstatus\n`)
          expect(await all, from).toBe('')
        }
        const sixth = connectTcp({ host: '::1', port: house.plain })
        sixth.on('error', () => {})
        sixth.write(`password ${house.owner.token}\nstatus\n`)
        expect(await ended(sixth)).toBe('')
        // The same address as IPv6 writes it is inside, and is one.
        const mapped = connectTcp({ host: '::ffff:127.0.0.1', port: house.plain, localAddress: '::ffff:127.2.0.2' })
        mapped.on('error', () => {})
        expect(await ended(mapped)).toBe('')
        const mpd = await openPlain(house, house.guest)
        expect(await mpd.ask('status\n')).toMatch(/^volume:/)
        mpd.close()
      },
    },
    {
      id: 'N2',
      attack: 'the owner’s token at the plain door',
      async run(house) {
        const mpd = await openPlain(house, house.owner)
        expect(await mpd.ask('status\n')).toMatch(/^volume:/)
        for (const line of [
          ...['clear', 'setvol 10', 'pause 1', 'kill', 'config', 'save x', 'update', 'enableoutput 0'],
          ...[
            'listplaylists',
            'subscribe x',
            'readmessages',
            'sendmessage x y',
            'delete 0',
            'shuffle',
            'mount a nfs://b',
          ],
          ...['add http://169.254.169.254/', 'add file:///etc/passwd', 'lsinfo http://x/', 'newpartition x'],
        ]) {
          expect(await mpd.ask(`${line}\n`), line).toMatch(refusal)
        }
        expect(await mpd.ask('command_list_begin\nstatus\nclear\ncommand_list_end\n')).toMatch(/^ACK \[4@1\] \{clear\}/)
        const commands = await mpd.ask('commands\n')
        expect(commands).toContain('command: status\n')
        expect(commands).not.toMatch(/^command: (clear|setvol|pause|kill|save|sendmessage)$/m)
        mpd.close()
        // The ceiling takes, and gives nothing: a kid may pause and not see more than a kid does.
        const kid = await openPlain(house, house.kid)
        for (const line of ['clear', 'pause 1', 'setvol 10', 'listplaylists'])
          expect(await kid.ask(`${line}\n`), line).toMatch(refusal)
        kid.close()
        // And with TLS the same token is what it was.
        const secure = await openMpd(house, house.owner)
        expect(await secure.ask('listplaylists\n')).toMatch(/OK\n$/)
        secure.close()
      },
      reaches: [/^listplaylists$/],
    },
    {
      id: 'N3',
      attack: 'getting rid of the ceiling: signing in again, other roles, waiting, idling',
      async run(house) {
        const someone = house.person('guest')
        const mpd = await openPlain(house, someone)
        expect(await mpd.ask('clear\n')).toMatch(refusal)
        house.accounts.setRoles(someone.id, ['owner'])
        await until(
          async () => (await ask(house, '/auth/me', { token: someone.token })).text.includes('owner') || undefined,
        )
        expect(await mpd.ask('clear\n')).toMatch(refusal)
        for (const token of [house.owner.token, someone.token, house.owner.token]) {
          expect(await mpd.ask(`password ${token}\n`)).toBe('OK\n')
          expect(await mpd.ask('partition home\n')).toBe('OK\n')
          expect(await mpd.ask('clear\n')).toMatch(refusal)
        }
        house.accounts.setRoles(house.owner.id, ['owner', 'member'])
        await until(
          async () => (await ask(house, '/auth/me', { token: house.owner.token })).text.includes('member') || undefined,
        )
        expect(await mpd.ask('clear\n')).toMatch(refusal)
        // What only others may see wakes nobody here.
        mpd.send('idle stored_playlist\n')
        house.demo.state.savePlaylist('m3u:x.m3u8', 'x', [])
        const other = await openMpd(house, house.member)
        expect(await other.ask('status\n')).toMatch(/^volume:/)
        expect(await mpd.ask('noidle\n')).toBe('OK\n')
        for (const one of [mpd, other]) one.close()
      },
    },
    {
      id: 'N4',
      attack: 'anything but a device token at the plain door',
      async run(house) {
        const forge = await openForge(house, house.owner)
        const ticket = (await ask(house, '/auth/ticket', { token: forge.token, method: 'POST' })).json.ticket
        for (const secret of [
          forge.token,
          forge.refresh,
          password.replaceAll(' ', '_'),
          String(ticket ?? 'none'),
          'x',
        ]) {
          const from = house.address()
          const mpd = await openPlain(house, { from })
          expect(await mpd.ask(`password "${secret}"\n`), secret.slice(0, 6)).toMatch(wrong)
          expect(await mpd.ask('status\n')).toMatch(refusal)
          mpd.close()
        }
        // At the door with TLS an access token does.
        const secure = await openMpd(house, { token: forge.token })
        expect(await secure.ask('status\n')).toMatch(/^volume:/)
        secure.close()
        // And guessing is counted as everywhere.
        const guesser = await openPlain(house)
        guesser.send('password a\npassword b\npassword c\npassword d\n')
        expect((await guesser.end()).match(/ACK \[3@0\]/g)).toHaveLength(3)
        const more = []
        for (let i = 0; i < 4; i++) {
          const mpd = await openPlain(house)
          more.push(await mpd.ask(`password guess${i}\n`))
          mpd.close()
        }
        expect(more.at(-1)).toMatch(/^ACK \[52@0\] \{password\} too many/)
      },
    },
    {
      id: 'N5',
      attack: 'TLS and HTTP at the plain door',
      async run(house) {
        const socket = await knock(house, 'plain')
        const greeting = ended(socket)
        // A ClientHello begins like this; what follows is never looked at.
        socket.write(Buffer.from('16030100050100000103', 'hex'))
        expect(await greeting).toMatch(/^OK MPD [\d.]+\n$/)
        await expect(dial({ ...house, mpd: house.plain }, 'mpd')).rejects.toThrow()
        for (const first of [
          'POST / HTTP/1.1\r\nHost: x\r\n\r\nclear\n',
          'GET /\r\n',
          '\nclear\n',
          '\u0000\n',
          'PING\n',
        ]) {
          const other = await knock(house, 'plain')
          const all = ended(other)
          other.write(`${first}password ${house.owner.token}\nclear\n`)
          expect(await all, first).toMatch(/^OK MPD [\d.]+\n$/)
        }
      },
    },
    {
      id: 'N6',
      attack: 'a token that goes by in the clear, unnoticed; or that the log repeats',
      async run(house) {
        const someone = house.person('member')
        const mine = (text: RegExp) => house.log.filter(({ level, msg }) => level === 'warn' && text.test(String(msg)))
        expect(mine(/without TLS/).length).toBeGreaterThan(0)
        const exposed = () => mine(/in the clear/).filter(({ account }) => account === someone.id)
        for (let i = 0; i < 3; i++) {
          const mpd = await openPlain(house, someone)
          await mpd.ask('status\n')
          await mpd.ask(`password "${someone.token}\n`)
          mpd.close()
        }
        // Once for each token, and the harness looks for the token itself in all of the log.
        expect(exposed()).toHaveLength(1)
        expect(exposed()[0]).toMatchObject({ name: someone.name, from: house.from })
        const secure = await openMpd(house, house.person('member'))
        await secure.ask('status\n')
        secure.close()
        expect(mine(/in the clear/).every(({ from }) => typeof from === 'string')).toBe(true)
      },
    },
    {
      id: 'N7',
      attack: 'the plain door as the back door: its connections, its revoked, its strangers',
      async run(house) {
        const many = await Promise.all(Array.from({ length: 12 }, () => knock(house, 'plain')))
        const gone = many.map((socket) => ended(socket))
        await until(() => many.filter((socket) => socket.closed).length >= 4 || undefined)
        // Those of one entrance are not the other's.
        const secure = await openMpd(house, house.member)
        expect(await secure.ask('status\n')).toMatch(/^volume:/)
        secure.close()
        for (const socket of many) socket.destroy()
        await Promise.all(gone)
        const someone = house.person('guest')
        const mpd = await until(() => openPlain(house, someone).catch(() => undefined))
        house.accounts.setDisabled(someone.id, true)
        await mpd.end()
        const stranger = await openPlain(house)
        for (const line of ['status', 'idle', 'clear', 'tagtypes'])
          expect(await stranger.ask(`${line}\n`)).toMatch(refusal)
        house.jump(11_000)
        await stranger.end()
      },
      disturbs: true,
    },
    {
      id: 'N8',
      attack: 'a plain door that nobody opened, or that is open to all',
      async run() {
        const shipped = readFileSync(join(root, 'config/stagedoor.yaml'), 'utf8')
        const read = (plain: string) =>
          readConfig(shipped.replace(/^listen:$/m, `listen:\n  plainMpd: ${plain}`), 'stagedoor.yaml', {
            env: {},
            read: () => '',
          })
        expect(readConfig(shipped, 'stagedoor.yaml', { env: {}, read: () => '' }).config?.listen.plainMpd).toBe(false)
        expect(read('{ port: 6600, from: [192.168.1.0/24], roles: [guest] }').problems).toEqual([])
        for (const plain of [
          'true',
          '{ port: 6600 }',
          '{ port: 6600, from: [], roles: [guest] }',
          '{ port: 6600, from: [192.168.1.0/24], roles: [] }',
          '{ port: 6600, from: [192.168.1.0/24] }',
          '{ port: 6600, roles: [guest] }',
          '{ port: 6600, from: ["0.0.0.0/0"], roles: [guest] }',
          '{ port: 6600, from: ["::/0"], roles: [guest] }',
          '{ port: 6600, from: ["8.8.8.0/24"], roles: [guest] }',
          '{ port: 6600, from: ["192.168.1.0/33"], roles: [guest] }',
          '{ port: 6600, from: ["::ffff:0:0/96"], roles: [guest] }',
          '{ port: 6600, from: [everywhere], roles: [guest] }',
          '{ port: 6600, from: [192.168.1.0/24], roles: [nobody-has-this] }',
        ]) {
          expect(read(plain).problems.length, plain).toBeGreaterThan(0)
        }
      },
    },
    {
      id: 'N9',
      attack: 'certificates of another key, another maker, another purpose',
      async run(house) {
        const mine = await certify(house, house.owner)
        expect(await show(house, mine)).toMatch(/^OK MPD [\d.]+\nOK\nvolume: /)
        const until = house.now() + 30 * day
        const [foreign, sameName] = [
          await createClient('phone', house.now(), until),
          await createClient('phone', house.now(), until),
        ]
        const server = {
          cert: readFileSync(join(house.certs, 'server.crt'), 'utf8'),
          key: readFileSync(join(house.certs, 'server.key'), 'utf8'),
        }
        const authority = {
          cert: readFileSync(join(house.certs, 'ca.crt'), 'utf8'),
          key: readFileSync(join(house.certs, 'ca.key'), 'utf8'),
        }
        for (const [why, pair] of Object.entries({ foreign, sameName, server, authority })) {
          const text = await show({ ...house, from: house.address() }, pair)
          expect(text, why).toMatch(/^(ACK \[3@0\] \{\} [^\n]*\n)?$/)
        }
        // The right certificate is no secret; without its key it is worth nothing.
        await expect(dial(house, 'mpd', { cert: mine.cert, key: createKey() })).rejects.toThrow()
      },
      reaches: [/^clear$/],
    },
    {
      id: 'N10',
      attack: 'a certificate that was revoked, or has ended, on new, open and resumed connections',
      async run(house) {
        for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
          for (const end of ['revoked', 'disabled', 'ended'] as const) {
            const someone = house.person('member')
            const mine = await certify(house, someone, { expires: house.now() + 3_600_000 })
            const tls = { cert: mine.cert, key: mine.key, minVersion: version, maxVersion: version }
            const socket = await dial(house, 'mpd', tls)
            // TLS 1.3 hands out its tickets behind the handshake.
            let session: Buffer | undefined = version === 'TLSv1.2' ? socket.getSession() : undefined
            socket.on('session', (given: Buffer) => {
              session ??= given
            })
            const all = ended(socket)
            socket.write('status\n')
            await until(() => session !== undefined || undefined)
            const again = await openMpd(house, { tls: { ...tls, ...(session && { session }) } })
            expect((again.socket as TLSSocket).isSessionReused()).toBe(true)
            expect(await again.ask('status\n'), version).toMatch(/^volume:/)
            if (end === 'revoked') house.accounts.removeToken(mine.token.id)
            if (end === 'disabled') house.accounts.setDisabled(someone.id, true)
            if (end === 'ended') house.jump(3_700_000)
            await again.end()
            expect(await all, version).toMatch(/^OK MPD [\d.]+\nvolume: [\s\S]*OK\n$/)
            for (const more of [{}, { session }]) {
              const resumed = await dial({ ...house, from: house.address() }, 'mpd', {
                ...tls,
                ...(more.session && { session: more.session }),
              })
              const text = ended(resumed)
              resumed.write('status\n')
              expect(await text, `${version} ${end}`).toMatch(/^(ACK \[3@0\] \{\} [^\n]*\n)?$/)
            }
          }
        }
      },
      disturbs: true,
    },
    {
      id: 'N11',
      attack: 'more than the certificate was given for',
      async run(house) {
        const narrow = await certify(house, house.owner, { role: 'guest' })
        const tls = { cert: narrow.cert, key: narrow.key }
        const mpd = await openMpd(house, { tls })
        expect(await mpd.ask('status\n')).toMatch(/^volume:/)
        for (const line of ['clear', 'listplaylists', 'kill']) expect(await mpd.ask(`${line}\n`), line).toMatch(refusal)
        // A password makes somebody else of it, a wrong one nobody.
        expect(await mpd.ask('password wrong\n')).toMatch(wrong)
        expect(await mpd.ask('clear\n')).toMatch(refusal)
        expect(await mpd.ask(`password ${house.kid.token}\n`)).toBe('OK\n')
        expect(await mpd.ask('clear\n')).toMatch(refusal)
        expect(await mpd.ask('pause 1\n')).toBe('OK\n')
        mpd.close()
        // It says who one is at that door and at no other, where browsers would show it to any page.
        const https = await dial(house, 'https', tls)
        const all = ended(https)
        https.write('GET /auth/me HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n')
        expect(await all).toMatch(/^HTTP\/1\.1 401 /)
        // The id of a certificate is no token.
        const other = await openMpd(house)
        const id = house.tokenOf(house.guest).replace(/_[^_]*_/, `_${narrow.token.id}_`)
        expect(await other.ask(`password ${id}\n`)).toMatch(wrong)
        expect(await other.ask(`password ${fingerprintOf(new X509Certificate(narrow.cert))}\n`)).toMatch(wrong)
        other.close()
        expect(heard(house).filter((line) => line === 'clear')).toEqual([])
      },
      reaches: [/^pause "1"$/],
    },
    {
      id: 'N12',
      attack: 'guessing with certificates, and certificates without end',
      async run(house) {
        const until = house.now() + 30 * day
        const pair = await createClient('x', house.now(), until)
        const answers = []
        for (let i = 0; i < 8; i++) answers.push(await show(house, pair))
        for (const answer of answers) expect(answer).toMatch(/^(ACK \[(3|52)@0\] \{\} [^\n]*\n)?$/)
        // A right one is let in all the same.
        const mine = await certify(house, house.guest)
        expect(await show(house, mine)).toMatch(/^OK MPD /)
        // No two tokens stand on one certificate.
        const fingerprint = fingerprintOf(new X509Certificate(mine.cert))
        const given = { account: house.owner.id, label: 'x', role: null, players: null, expires: until }
        expect(() => house.accounts.createCertificate(given, fingerprint)).toThrow(/already/)
      },
    },
  ],
  openBothDoors,
)
