import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { clients } from '../../src/cli/clients.ts'
import { run as mpdHelp } from '../../src/cli/mpdhelp.ts'
import { createAuthority, createKey } from '../../src/listen/certificate.ts'
import { createDir } from '../identity/house.ts'
import { createShell } from './house.ts'

const root = join(import.meta.dirname, '../..')
const names = clients.map(({ name }) => name)

/** A shell whose configuration begins with this. */
function shellWith(more: string) {
  const shell = createShell()
  writeFileSync(shell.file, `${more}\n${readFileSync(shell.file, 'utf8')}`)
  return shell
}

describe('the handbook', () => {
  it('docs/clients.md is what the command prints (npx stagedoor mpd-help --all > docs/clients.md)', async () => {
    const { status, out } = await createShell().run(mpdHelp, '--all')
    expect(status).toBe(0)
    expect(`${out}\n`).toBe(readFileSync(join(root, 'docs/clients.md'), 'utf8'))
  })

  it('is the same in every house', async () => {
    const shell = shellWith('listen: { https: { names: [sala.lan] }, mpd: { port: 7601 } }')
    expect((await shell.run(mpdHelp, '--all')).out).toBe((await createShell().run(mpdHelp, '--all')).out)
  })

  it('every link inside it leads to a heading', async () => {
    const { out } = await createShell().run(mpdHelp, '--all')
    const headings = [...out.matchAll(/^## (.*)$/gm)].map(([, title = '']) =>
      title
        .toLowerCase()
        .replace(/[^a-z0-9 -]/g, '')
        .replaceAll(' ', '-'),
    )
    const links = [...out.matchAll(/\]\(#([^)]*)\)/g)].map(([, link]) => link)
    expect(links).toHaveLength(clients.length)
    for (const link of links) expect(headings).toContain(link)
  })
})

describe('one client', () => {
  it('without a name, all are listed', async () => {
    const { status, out } = await createShell().run(mpdHelp, '')
    expect(status).toBe(0)
    for (const name of names) expect(out).toContain(name)
  })

  it('an unknown one ends with 2 and the list', async () => {
    const { status, out, err } = await createShell().run(mpdHelp, 'winamp')
    expect([status, out]).toEqual([2, ''])
    for (const name of names) expect(err).toContain(name)
  })

  it.each(names)('%s: a token, and nothing that goes out in the clear unsaid', async (name) => {
    const { status, out } = await createShell().run(mpdHelp, name)
    expect(status).toBe(0)
    expect(out).toMatch(/npx stagedoor token create NAME --label ".+"/)
    // Either it is encrypted and checked, or it says what that exposes and puts a ceiling on it.
    const tunnel = /verifyChain = yes[\s\S]*check(?:Host|IP) = [\s\S]*verify=1/
    const direct = /create_default_context/
    const plain = /plainMpd:[\s\S]*roles: \[guest\][\s\S]*What that exposes[\s\S]*--role guest --expires/
    expect([tunnel, direct, plain].some((way) => way.test(out))).toBe(true)
    if (/plainMpd/.test(out)) expect(out).toMatch(plain)
  })

  it.each([
    ['MPDluxe', 'MPDroid'],
    ['M.A.L.P.', 'M.A.L.P.'],
    ['HomeAssistant', 'Home Assistant'],
  ])('%s is found as %s', async (word, title) => {
    expect((await createShell().run(mpdHelp, word)).out).toContain(`# ${title}`)
  })
})

describe('the house’s own', () => {
  it('host, ports and ceiling are those of the configuration', async () => {
    const shell = shellWith(
      'listen: { https: { port: 9443, names: [sala.lan, 10.0.0.5] }, mpd: { port: 7601 }, plainMpd: { port: 7602, from: [10.0.0.0/24], roles: [member] } }',
    )
    const { out } = await shell.run(mpdHelp, 'home-assistant')
    expect(out).toContain('connect = sala.lan:7601\n')
    expect(out).toContain('checkHost = sala.lan\n')
    expect(out).toContain('https://sala.lan:9443/trust/ca.pem')
    expect(out).toContain('port: 7602\n')
    expect(out).toContain('roles: [member]')
  })

  it('a shut door is said', async () => {
    const { err } = await shellWith('listen: { mpd: false }').run(mpdHelp, 'mpc')
    expect(err).toContain('listen.mpd: false')
  })

  it('the fingerprint to compare is shown where the authority is here', async () => {
    const dir = createDir()
    const pem = await createAuthority(createKey(), Date.now())
    writeFileSync(join(dir, 'ca.crt'), pem)
    const { out } = await shellWith(`tls: { dir: "${dir}" }`).run(mpdHelp, 'mpc')
    expect(out).toMatch(/only if the fingerprint is `(?:[0-9A-F]{2}:){31}[0-9A-F]{2}`/)
  })

  it('a certificate from elsewhere is held against the authorities of the system', async () => {
    const { out } = await shellWith('tls: { cert: a.crt, key: a.key }').run(mpdHelp, 'mpc')
    expect(out).toContain('CAfile = /etc/ssl/certs/ca-certificates.crt')
    expect(out).not.toContain('--insecure')
  })
})

describe('what is given', () => {
  it('an address is checked as an address', async () => {
    const { out } = await createShell().run(mpdHelp, 'mpc --host FD00::5 --port 99 --local 6700')
    expect(out).toContain('accept = 127.0.0.1:6700\nconnect = fd00::5:99\n')
    expect(out).toContain('checkIP = fd00::5\n')
    expect(out).toContain('OPENSSL:[fd00::5]:99,')
    expect(out).toContain('https://[fd00::5]:8443/')
    expect(out).toContain('MPD_PORT=6700')
  })

  it('each person gets a token, and a name is one word to a shell', async () => {
    const { out } = await createShell().run(mpdHelp, 'mpc --user Eva --user "Jo O\'Neil"')
    expect(out).toContain('token create Eva --label')
    expect(out).toContain(`token create 'Jo O'\\''Neil' --label`)
  })

  it.each([
    '--host "a b"',
    '--host a;b',
    '--host $(x)',
    '--host a\ncert=x',
    '--host -x',
    '--port 0',
    '--port 65536',
    '--port 6600x',
    '--local -1',
    '--user "a\nb"',
    '--user $(x)',
    '--role "a]"',
    'mpc mpc',
  ])('nothing that means something where it ends up: %j', async (line) => {
    const { status, out } = await createShell().run(mpdHelp, `mpc ${line}`)
    expect([status, out]).toEqual([2, ''])
  })
})
