import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { endChild, freePort, startChild, until } from '../test/real/tools.ts'

/** A program that ends TLS in front of a player and understands nothing of what passes. */
export interface TlsProxy {
  readonly name: string
  readonly port: number
  readonly pid: number
  stop(): Promise<void>
}

/** Files (PEM). */
interface Certificate {
  readonly cert: string
  readonly key: string
}

interface Program {
  readonly name: string
  /** The Debian package, and the program in it. */
  readonly from: string
  readonly command: string
  /** Writes its configuration into the directory; answers with its arguments. */
  configure(dir: string, port: number, upstream: string, certificate: Certificate): readonly string[]
}

const stunnel: Program = {
  name: 'stunnel',
  from: 'stunnel4',
  command: 'stunnel4',
  configure(dir, port, upstream, { cert, key }) {
    const file = join(dir, 'stunnel.conf')
    writeFileSync(
      file,
      `foreground = quiet
syslog = no
pid =
debug = err
output = ${dir}/log
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
[player]
accept = 127.0.0.1:${port}
connect = ${upstream}
cert = ${cert}
key = ${key}
`,
    )
    return [file]
  },
}

const haproxy: Program = {
  name: 'HAProxy',
  from: 'haproxy',
  command: 'haproxy',
  configure(dir, port, upstream, { cert, key }) {
    const [file, pem] = [join(dir, 'haproxy.cfg'), join(dir, 'both.pem')]
    writeFileSync(pem, `${readFileSync(cert, 'utf8')}\n${readFileSync(key, 'utf8')}`)
    writeFileSync(
      file,
      `global
  maxconn 2000
  nbthread 1
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
listen player
  bind 127.0.0.1:${port} ssl crt ${pem}
  server player ${upstream}
`,
    )
    return ['-db', '-q', '-f', file]
  },
}

const nginx: Program = {
  name: 'nginx',
  from: 'nginx-light',
  command: 'nginx',
  configure(dir, port, upstream, { cert, key }) {
    const file = join(dir, 'nginx.conf')
    writeFileSync(
      file,
      `daemon off; worker_processes 1; pid ${dir}/pid; error_log ${dir}/error.log;
events { worker_connections 512; }
http {
  access_log off; keepalive_requests 1000000000; client_body_temp_path ${dir}/b; proxy_temp_path ${dir}/p;
  fastcgi_temp_path ${dir}/f; uwsgi_temp_path ${dir}/u; scgi_temp_path ${dir}/s;
  upstream player { server ${upstream}; keepalive 64; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate ${cert}; ssl_certificate_key ${key}; ssl_protocols TLSv1.2 TLSv1.3;
    location / { proxy_pass http://player; proxy_http_version 1.1; proxy_set_header Connection ""; }
  }
}`,
    )
    return ['-c', file, '-p', dir]
  },
}

export const programs = { stunnel, haproxy, nginx } as const

const env = { ...process.env, PATH: `${process.env.PATH}${delimiter}/usr/sbin` }

/** Starts the program before a player's address; undefined, and a line that says so, where it is not installed. */
export async function startProxy(
  program: Program,
  upstream: string,
  certificate: Certificate,
): Promise<TlsProxy | undefined> {
  const { name, command, from } = program
  if (spawnSync(command, ['-v'], { env }).error) {
    console.log(`\nLEFT OUT: ${name} is not installed (apt-get install ${from})`)
    return undefined
  }
  const port = await freePort()
  const dir = mkdtempSync(join(tmpdir(), `stagedoor-${name}-`))
  const child = startChild(command, program.configure(dir, port, upstream, certificate), { stdio: 'inherit', env })
  await until(() => {
    if (child.exitCode !== null) throw new Error(`${name} ended at once`)
    return takes(port)
  })
  return {
    name,
    port,
    pid: child.pid ?? 0,
    async stop() {
      await endChild(child)
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

function takes(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true))
    socket.once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}
