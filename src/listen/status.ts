import type { App, HttpDeps } from './http.ts'

/** Whether we live, and whether it is worth sending us anything. Without identity, so without detail. */
export function statusRoutes(app: App, deps: Pick<HttpDeps, 'players' | 'ready' | 'config'>): void {
  const { players, ready, config = () => 'current' } = deps

  app.get('/healthz', async () => ({ status: 'ok' }))

  app.get('/readyz', async (_request, reply) => {
    const up = [...players].every(([, player]) => player.up) && ready()
    return reply.code(up ? 200 : 503).send({
      status: up ? 'ready' : 'unready',
      // With an invalid one we serve by the one before it, so that is no reason to send nobody here.
      config: config(),
      players: Object.fromEntries([...players].map(([name, player]) => [name, player.up ? 'up' : 'down'])),
    })
  })
}
