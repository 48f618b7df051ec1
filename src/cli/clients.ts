import { isIP } from 'node:net'

/** Where things are, as the snippets write it. */
export interface Place {
  /** The gateway, by a name or address that its certificate holds. */
  readonly host: string
  /** MPD over TLS. */
  readonly port: number
  readonly https: number
  /** The loopback port of a tunnel, on the client's own machine. */
  readonly local: number
  /** MPD without TLS. */
  readonly plain: number
  /** Accounts that get a token. */
  readonly users: readonly string[]
  /** What a token for the plaintext door is good for, and that door's ceiling. */
  readonly role: string
  /** The gateway's certificate is of an authority of its own, or of one that every system knows. */
  readonly authority: 'own' | 'public'
  /** SHA-256 of our own authority's certificate, where it is known. */
  readonly fingerprint?: string
}

/** A heading and what is to be done: Markdown, for the eye and for docs/clients.md alike. */
export interface Section {
  readonly title: string
  readonly text: string
}

export interface Client {
  readonly name: string
  readonly title: string
  /** What it runs on. */
  readonly on: string
  /** What it can of TLS itself. */
  readonly tls: string
  /** How it gets in, best first. */
  readonly ways: readonly Way[]
  /** What is entered where. */
  settings(place: Place): string
}

export type Way = 'direct' | 'tunnel' | 'plain'

const folder = '~/.config/stagedoor'
const token = 'sd1_…'

const block = (kind: string, text: string) => `\`\`\`${kind}\n${text}\n\`\`\``
const text = (...parts: readonly string[]) => parts.join('\n\n')

/** As a URL and socat write it; stunnel takes the last colon for the port's. */
const bracketed = (host: string) => (isIP(host) === 6 ? `[${host}]` : host)
const authorityFile = ({ authority }: Place) =>
  authority === 'own' ? 'stagedoor-ca.pem' : '/etc/ssl/certs/ca-certificates.crt'

const tokens = (place: Place, label: string, more = '') =>
  place.users.map((user) => `npx stagedoor token create ${user} --label "${label}"${more}`).join('\n')

const make = {
  token: (place: Place): Section => ({
    title: 'The token',
    text: text(
      'An MPD client’s password is a device token: one for each device, so that each can be revoked by itself. On the machine of the gateway:',
      block('sh', tokens(place, 'laptop')),
      `It prints ${token} once. \`--role ${place.role}\` makes it worth less than its account, \`--player\` keeps it to a player, \`--expires 90d\` ends it. The password of an account is never accepted.`,
    ),
  }),

  authority: (place: Place): Section => ({
    title: 'The authority',
    text:
      place.authority === 'public'
        ? text(
            `The certificate of this gateway is from elsewhere: the snippets name the authorities of Debian and Ubuntu, \`${authorityFile(place)}\`. They want a folder:`,
            block('sh', `mkdir -p ${folder} && cd ${folder}`),
          )
        : text(
            'The tunnel talks to your gateway or to nobody. What it knows it by, once, on the device:',
            block(
              'sh',
              [
                `mkdir -p ${folder} && cd ${folder}`,
                `curl --insecure --fail --output ${authorityFile(place)} https://${bracketed(place.host)}:${place.https}/trust/ca.pem`,
                `openssl x509 -in ${authorityFile(place)} -noout -fingerprint -sha256`,
              ].join('\n'),
            ),
            `So far anybody could have sent you this file (\`--insecure\`). Go on only if the fingerprint is ${
              place.fingerprint ? `\`${place.fingerprint}\`.` : 'the one that Stagedoor printed when it started.'
            }`,
          ),
  }),

  stunnel: (place: Place): Section => ({
    title: 'A tunnel: stunnel',
    text: text(
      `\`${folder}/stunnel.conf\`:`,
      block('ini', stunnel(place)),
      'Where `verifyChain` or the `check` line is left out, it talks to anybody. Try it:',
      block('sh', `cd ${folder} && stunnel stunnel.conf`),
      'And for good, as yourself, `~/.config/systemd/user/stagedoor-tunnel.service`:',
      block('ini', unit()),
      block('sh', 'systemctl --user daemon-reload\nsystemctl --user enable --now stagedoor-tunnel'),
      'Everybody with an account on that machine can connect to the tunnel; without a token it is of no use to them.',
    ),
  }),

  socat: (place: Place): Section => ({
    title: 'A tunnel: socat',
    text: text('The same in one line, for as long as it runs:', block('sh', `cd ${folder} && ${socat(place)}`)),
  }),

  certificate: (place: Place): Section => ({
    title: 'Without a password: a client certificate',
    text: text(
      'The tunnel can sign in by itself, for clients that take no password or would keep it where others read it. On the machine of the gateway:',
      block(
        'sh',
        place.users
          .map((user) => `npx stagedoor token create ${user} --label "tunnel" --certificate --out stagedoor-client`)
          .join('\n'),
      ),
      `Move \`stagedoor-client.crt\` and \`stagedoor-client.key\` to the device, into \`${folder}\`: whoever has the key comes in by it. Two more lines at the end of \`stunnel.conf\`:`,
      block('ini', 'cert = stagedoor-client.crt\nkey = stagedoor-client.key'),
      'or with socat:',
      block('sh', `cd ${folder} && ${socat(place, ',cert=stagedoor-client.crt,key=stagedoor-client.key')}`),
      `Leave the client’s password empty, and write \`127.0.0.1\` for \`${token}@127.0.0.1\`. Now whoever can connect to the tunnel is you: only on a machine of your own.`,
    ),
  }),

  plain: (place: Place): Section => ({
    title: 'The plaintext door',
    text: text(
      'For a device on which no tunnel runs. It is shut unless the configuration opens it:',
      block(
        'yaml',
        [
          'listen:',
          '  plainMpd:',
          `    port: ${place.plain}`,
          '    from: [192.168.1.0/24] # who may come in: better one device (192.168.1.20/32), best your VPN’s own range',
          `    roles: [${place.role}] # the most that anybody may do here, an owner too`,
        ].join('\n'),
      ),
      'What that exposes: whoever is on the way (the Wi-Fi, the router) reads every command and answer, **and the token**, and can put commands of their own in between. The ceiling binds this door only: so make the token itself worth no more, with an end, and use it nowhere else.',
      block('sh', tokens(place, 'phone', ` --role ${place.role} --expires 90d`)),
      'A VPN to the house (WireGuard runs on Android and iOS) takes the exposure away: `from:` is then the range of the VPN alone.',
    ),
  }),
}

function stunnel(place: Place): string {
  return [
    'foreground = yes',
    'pid =',
    '',
    '[stagedoor]',
    'client = yes',
    `accept = 127.0.0.1:${place.local}`,
    `connect = ${place.host}:${place.port}`,
    `CAfile = ${authorityFile(place)}`,
    'verifyChain = yes',
    `${isIP(place.host) ? 'checkIP' : 'checkHost'} = ${place.host}`,
    'sslVersionMin = TLSv1.2',
  ].join('\n')
}

function unit(): string {
  return [
    '[Unit]',
    'Description=MPD through TLS to Stagedoor',
    '',
    '[Service]',
    'WorkingDirectory=%h/.config/stagedoor',
    'ExecStart=/usr/bin/stunnel stunnel.conf',
    'Restart=always',
    'RestartSec=5',
    '',
    '[Install]',
    'WantedBy=default.target',
  ].join('\n')
}

function socat(place: Place, more = ''): string {
  const target = `OPENSSL:${bracketed(place.host)}:${place.port},cafile=${authorityFile(place)},verify=1${more}`
  return `socat TCP-LISTEN:${place.local},bind=127.0.0.1,fork,reuseaddr ${target}`
}

const none = 'none'

/** Host, port and password, where they are three fields. */
const fields = ({ host, port }: { host: string; port: number }) =>
  `host \`${host}\`, port \`${port}\`, password \`${token}\``
const throughTunnel = ({ local }: Place) => fields({ host: '127.0.0.1', port: local })
const throughPlain = ({ host, plain }: Place) => fields({ host, port: plain })

/** In the order of docs/clients.md. */
export const clients: readonly Client[] = [
  {
    name: 'mpc',
    title: 'mpc',
    on: 'a computer',
    tls: none,
    ways: ['tunnel'],
    settings: ({ local }) =>
      text(
        block('sh', `export MPD_HOST='${token}@127.0.0.1' MPD_PORT=${local}\nmpc status`),
        'Not as `--host` or `--password`: other people on that machine see the arguments of a command. Every client made with libmpdclient reads the same two variables.',
      ),
  },
  {
    name: 'ncmpcpp',
    title: 'ncmpcpp',
    on: 'a computer',
    tls: none,
    ways: ['tunnel'],
    settings: ({ local }) =>
      text(
        '`~/.config/ncmpcpp/config`, which only you may read (`chmod 600`):',
        block('ini', `mpd_host = ${token}@127.0.0.1\nmpd_port = ${local}`),
        'The variables of mpc, where they are set, come first. It asks for outputs and decoders when it connects, and takes a refusal for a wrong password: a role that uses it needs `outputs.read` and `server.read`, as the shipped ones have.',
      ),
  },
  {
    name: 'ncmpc',
    title: 'ncmpc',
    on: 'a computer',
    tls: none,
    ways: ['tunnel'],
    settings: ({ local }) =>
      text(
        '`~/.config/ncmpc/config`, which only you may read (`chmod 600`):',
        block('ini', `host = 127.0.0.1\nport = ${local}\npassword = ${token}`),
        'With an MPD; it does not talk to a Mopidy (“MPD version 0.19.0 is too old”), behind the gateway or not.',
      ),
  },
  {
    name: 'malp',
    title: 'M.A.L.P.',
    on: 'Android',
    tls: 'none, and its author wants none ([malp #52](https://github.com/gateship-one/malp/issues/52))',
    ways: ['plain'],
    settings: (place) => `A new profile with ${throughPlain(place)}.`,
  },
  {
    name: 'mpdroid',
    title: 'MPDroid, MPDluxe',
    on: 'Android, iOS',
    tls: 'none known',
    ways: ['plain'],
    settings: (place) => `In the connection’s settings: ${throughPlain(place)}.`,
  },
  {
    name: 'cantata',
    title: 'Cantata',
    on: 'a computer',
    tls: none,
    ways: ['tunnel'],
    settings: (place) => `Settings → Collection: ${throughTunnel(place)}. It keeps two connections, which is fine.`,
  },
  {
    name: 'mympd',
    title: 'myMPD',
    on: 'a server',
    tls: 'none towards MPD; its `ssl` settings are about its own web page',
    ways: ['tunnel'],
    settings: (place) =>
      text(
        `The tunnel runs on myMPD’s machine. Main menu → MPD connection: ${throughTunnel(place)}.`,
        'myMPD signs in once for everybody who opens its page: whoever reaches the page may do what the token may. Give it a token with a role of its own, and keep the page where only the house reaches it.',
      ),
  },
  {
    name: 'home-assistant',
    title: 'Home Assistant',
    on: 'a server',
    tls: none,
    ways: ['tunnel', 'plain'],
    settings: (place) =>
      text(
        `Settings → Devices & services → Add integration → Music Player Daemon. Where Home Assistant is a program or a container on the host’s network, with the tunnel on that host: ${throughTunnel(place)}.`,
        `Home Assistant OS runs no tunnel: there it is the plaintext door, with \`from:\` the one address of Home Assistant, and ${throughPlain(place)}.`,
      ),
  },
  {
    name: 'python-mpd2',
    title: 'python-mpd2',
    on: 'a program',
    tls: 'with a few lines',
    ways: ['direct', 'tunnel'],
    settings: (place) =>
      text(
        'Directly, with Python’s own TLS:',
        block(
          'python',
          [
            'import ssl',
            'from mpd import MPDClient',
            '',
            '',
            'class TlsClient(MPDClient):',
            '    def _connect_tcp(self, host, port):',
            place.authority === 'own'
              ? `        context = ssl.create_default_context(cafile="${authorityFile(place)}")`
              : '        context = ssl.create_default_context()',
            '        # context.load_cert_chain("stagedoor-client.crt", "stagedoor-client.key")  # instead of password()',
            '        return context.wrap_socket(super()._connect_tcp(host, port), server_hostname=host)',
            '',
            '',
            'client = TlsClient()',
            `client.connect("${place.host}", ${place.port})`,
            `client.password("${token}")`,
            'print(client.status())',
          ].join('\n'),
        ),
        `Or through the tunnel: \`client.connect("127.0.0.1", ${place.local})\`. It does not look at what it sends: take line breaks out of text that others typed.`,
      ),
  },
]

/** Other words for a client. */
export const aliases: ReadonlyMap<string, string> = new Map([
  ['m.a.l.p.', 'malp'],
  ['mpdluxe', 'mpdroid'],
  ['hass', 'home-assistant'],
  ['homeassistant', 'home-assistant'],
  ['python3-mpd', 'python-mpd2'],
])

/** What one client needs, from the token to its own settings. */
export function guide(client: Client, place: Place): string {
  const { ways } = client
  const secured = ways.includes('tunnel') || ways.includes('direct')
  const sections = [
    // A token for the plaintext door is worth less, and made there.
    ...(secured ? [make.token(place), make.authority(place)] : []),
    ...(ways.includes('tunnel') ? [make.stunnel(place), make.socat(place)] : []),
    ...(ways.includes('plain') ? [make.plain(place)] : []),
    { title: client.title, text: client.settings(place) },
    ...(secured ? [make.certificate(place)] : []),
  ]
  return text(
    `# ${client.title} (${client.on})`,
    `TLS: ${client.tls}.`,
    ...sections.map(({ title, text: body }, i) => `## ${i + 1}. ${title}\n\n${body}`),
  )
}

const wayWords: Readonly<Record<Way, string>> = {
  direct: 'TLS',
  tunnel: 'a tunnel',
  plain: 'the plaintext door',
}

/** docs/clients.md. */
export function handbook(place: Place): string {
  const common = [
    make.token(place),
    make.authority(place),
    make.stunnel(place),
    make.socat(place),
    make.certificate(place),
    make.plain(place),
  ]
  return text(
    '# Connect an MPD client',
    'Written by `npx stagedoor mpd-help --all`; change `src/cli/clients.ts`. `npx stagedoor mpd-help CLIENT` prints what one client needs, with your own host and ports in it.',
    [
      '| client | on | TLS of its own | how |',
      '|---|---|---|---|',
      ...clients.map(
        ({ name, title, on, tls, ways }) =>
          `| [${title}](#${anchor(title)}) (\`${name}\`) | ${on} | ${tls} | ${ways.map((way) => wayWords[way]).join(', or ')} |`,
      ),
    ].join('\n'),
    'What somebody may not do is answered with MPD’s own permission error, and the client says so in its own words.',
    ...common.map(({ title, text: body }) => `## ${title}\n\n${body}`),
    ...clients.map((client) => `## ${client.title}\n\n${client.settings(place)}`),
  )
}

/** As GitHub makes it of a heading. */
function anchor(title: string): string {
  return title
    .toLowerCase()
    .replace(/[^\p{L}\p{N} -]/gu, '')
    .replaceAll(' ', '-')
}
