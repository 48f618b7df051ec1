// Another process on the same accounts. Says what it did on standard output, then waits to be killed.
import { hashSecret } from '../../src/identity/tokens.ts'
import { openAccounts } from '../../src/store/accounts.ts'

const [dir = '', what = '', id = ''] = process.argv.slice(2)
const accounts = openAccounts({ dir, now: Date.now, pollMs: 0, busyMs: 5000 })

switch (what) {
  case 'create':
    accounts.create({ name: id, roles: ['owner'], password: 'x' })
    break
  case 'revoke':
    accounts.removeToken(id)
    break
  case 'role':
    accounts.setRoles(id, ['guest'])
    break
  case 'storm':
    for (let i = 0; i < 100; i++) accounts.create({ name: `${id}${i}`, roles: ['member'], password: 'x' })
    break
  case 'pair': {
    process.stdout.write('ready\n')
    while (accounts.pairing('go') === undefined);
    const taken = Array.from({ length: 50 }, (_, i) => accounts.takePairing(`p${i}`))
    process.stdout.write(`${JSON.stringify(taken)}\n`)
    break
  }
  case 'race': {
    const outcomes = []
    for (let i = 0; i < 50; i++) {
      outcomes.push(
        accounts.rotate(hashSecret(`token ${i}`), hashSecret(`next ${i} ${process.pid}`))?.outcome ?? 'none',
      )
    }
    process.stdout.write(`${JSON.stringify(outcomes)}\n`)
    process.exit(0)
  }
}
process.stdout.write('done\n')
setInterval(() => {}, 1000)
