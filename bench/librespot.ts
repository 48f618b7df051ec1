// A go-librespot to be measured against, in a process of its own: the address on the first line it writes; each line it
// reads is a volume, which it tells to everybody who listens.
import { createInterface } from 'node:readline'
import { startFakeLibrespot } from '../test/upstream/fakelibrespot.ts'

const fake = await startFakeLibrespot('go-librespot')
console.log(fake.url)
for await (const line of createInterface(process.stdin)) {
  fake.tell({ type: 'volume', data: { value: Number(line), max: 65_535 } })
}
