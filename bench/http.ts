import { startMopidy } from '../test/real/mopidy.ts'
import { type Contender, hold, type Length, type Task } from './contest.ts'
import { startHouse } from './house.ts'
import { programs, startProxy } from './proxy.ts'
import { printTask } from './report.ts'
import { talkHttp } from './talk.ts'

/** JSON-RPC over HTTP: Mopidy itself, the gateway, and nginx with TLS, which checks nothing. */
export async function measureHttp(length: Length, connections = 16): Promise<void> {
  const mopidy = await startMopidy()
  const house = await startHouse({ kind: 'mopidy', http: mopidy.http, mpd: mopidy.mpd })
  const nginx = await startProxy(programs.nginx, new URL(mopidy.http).host, house.certificate)
  const ca = house.gateway.ca
  const contenders: Contender[] = [
    { name: 'direct, no TLS', target: { port: mopidy.httpPort }, pid: undefined },
    { name: 'Stagedoor', target: { port: house.gateway.https, ca }, pid: house.gateway.pid, token: house.token },
    ...(nginx ? [{ name: 'nginx', target: { port: nginx.port, ca }, pid: nginx.pid }] : []),
  ]
  const task: Task = {
    title: `Mopidy: core.playback.get_state over HTTP, ${connections} connections`,
    connections,
    isPlain: true,
    talk: ({ token }) => talkHttp(token && `Bearer ${token}`),
  }
  printTask(task, await hold(task, contenders, mopidy, length))
  await nginx?.stop()
  await house.gateway.stop()
  await mopidy.stop()
}
