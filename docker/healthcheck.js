// Alive when the HTTPS door answers. Whose certificate it is does not matter here: over loopback we ask ourselves.
import { get } from 'node:https'

const port = Number(process.argv[2] ?? 8443)
const asked = get({ host: '127.0.0.1', port, path: '/healthz', rejectUnauthorized: false, timeout: 4_000 }, (answer) =>
  process.exit(answer.statusCode === 200 ? 0 : 1),
)
asked.on('timeout', () => process.exit(1)).on('error', () => process.exit(1))
