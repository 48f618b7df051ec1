import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createCall, type Door, type Origin, type Request, type User } from '../../src/call/call.ts'
import { capabilities } from '../../src/call/capability.ts'
import type { Catalog } from '../../src/call/catalog.ts'
import type { Known } from '../../src/call/known.ts'
import { decide } from '../../src/policy/decide.ts'
import { compile, type RolesConfig } from '../../src/policy/policy.ts'
import { decode as decodeRpc } from '../../src/protocol/jsonrpc/decode.ts'
import { goLibrespot } from '../../src/protocol/librespot/go.ts'
import { librespotJava } from '../../src/protocol/librespot/java.ts'
import { resolveVolume } from '../../src/protocol/librespot/volume.ts'
import { mopidy } from '../../src/protocol/mopidy/catalog.ts'
import { decode as decodeMpd } from '../../src/protocol/mpd/decode.ts'
import { tokenize } from '../../src/protocol/mpd/token.ts'
import { decodeRest } from '../../src/protocol/rest/decode.ts'

const mpd = (line: string): Request => decodeMpd(tokenize(new TextEncoder().encode(line)))
const rpc = (method: string, params: object = {}): Request =>
  decodeRpc(mopidy, { jsonrpc: '2.0', id: 1, method: `core.${method}`, params })
const rest = (catalog: Catalog, target: string, body?: object): Request => {
  const [method = '', path = ''] = target.split(' ')
  return resolveVolume(decodeRest(catalog, { method, path, body }), { volume: 0, steps: 100 })
}
const go = (target: string, body?: object) => rest(goLibrespot, target, body)
const java = (target: string, body?: object) => rest(librespotJava, target, body)

/** What somebody wants, in every language in which it can be said. */
const intents = {
  'a volume': (volume, _uri) => [
    mpd(`setvol ${volume}`),
    rpc('mixer.set_volume', { volume }),
    rpc('mixer.set_volume', [volume]),
    go('POST /player/volume', { volume }),
    java('POST /player/set-volume', { volume: Math.floor((volume * 65_536) / 100) }),
  ],
  'the next song': () => [mpd('next'), rpc('playback.next'), go('POST /player/next'), java('POST /player/next')],
  'the song before': () => [
    mpd('previous'),
    rpc('playback.previous'),
    go('POST /player/prev'),
    java('POST /player/prev'),
  ],
  'a pause': () => [mpd('pause 1'), rpc('playback.pause'), go('POST /player/pause'), java('POST /player/pause')],
  'to go on': () => [mpd('pause 0'), rpc('playback.resume'), go('POST /player/resume'), java('POST /player/resume')],
  'a song in the queue': (_volume, uri) => [
    mpd(`add "${uri}"`),
    mpd(`addid "${uri}"`),
    mpd(`add "${uri}" 0`),
    rpc('tracklist.add', { uris: [uri] }),
    rpc('tracklist.add', [null, 0, [uri]]),
    go('POST /player/add_to_queue', { uri }),
    java('POST /player/addToQueue', { uri }),
  ],
  'any order': () => [
    mpd('random 1'),
    rpc('tracklist.set_random', { value: true }),
    go('POST /player/shuffle_context', { shuffle_context: true }),
    java('POST /player/shuffle', { val: true }),
  ],
  'to know what plays': () => [
    mpd('status'),
    mpd('currentsong'),
    rpc('playback.get_state'),
    go('GET /status'),
    java('POST /player/current'),
  ],
} satisfies Record<string, (volume: number, uri: string) => readonly Request[]>

const doors: readonly Door[] = ['http', 'websocket', 'mpd']
const players = ['home', 'office', 'kids-room']
const uris = [
  'spotify:track:4uLU6hMCjMI75M1A2tKUQC',
  'spotify:episode:512ojhOuo1ktJprKbVcKyQ',
  'spotify:track:0000000000000000000000',
]
const names = Object.keys(capabilities)
const used = ['volume.set', 'playback.skip', 'playback.control', 'queue.add', 'options.set', 'status.read']

const level = fc.integer({ min: 0, max: 100 })
const hour = fc.integer({ min: 0, max: 23 }).map((h) => `${String(h).padStart(2, '0')}:00`)
const when = fc.record(
  {
    maxVolume: fc.oneof(
      level,
      fc.record({
        max: fc.oneof(level, fc.dictionary(hour, level, { minKeys: 1, maxKeys: 3 })),
        over: fc.constantFrom('refuse' as const, 'clamp' as const, 'scale' as const),
        zone: fc.constantFrom('Europe/Berlin', 'America/New_York', 'UTC'),
      }),
    ),
    uriSchemes: fc.subarray(['local', 'spotify', 'path'], { minLength: 1 }),
  },
  { requiredKeys: [] },
)
const grant = fc.record(
  {
    allow: fc.subarray([...used, 'volume.*', 'playback.*', 'queue.*'], { minLength: 1 }),
    on: fc.subarray(players, { minLength: 1 }),
    when,
  },
  { requiredKeys: ['allow'] },
)
const roles: fc.Arbitrary<RolesConfig> = fc.dictionary(
  fc.constantFrom('kid', 'guest', 'member'),
  fc.record(
    { grants: fc.array(grant, { minLength: 1, maxLength: 4 }), mode: fc.constantFrom('enforce', 'observe') },
    { requiredKeys: ['grants'] },
  ),
  { minKeys: 1 },
) as never

const person = (own: readonly string[], ceiling: readonly string[] | undefined): User => ({
  kind: 'user',
  id: 'u',
  name: 'kim',
  roles: own,
  ...(ceiling && { ceilings: [ceiling] }),
  session: 's',
  until: Number.MAX_SAFE_INTEGER,
  from: '::1',
})

/** Everything about a decision that somebody can notice. */
function noticed(policy: ReturnType<typeof compile>, origin: Origin, request: Request, known?: Known) {
  const decision = decide(policy, createCall(origin, request, known))
  if (!decision.allowed) {
    const { denial } = decision
    return 'condition' in denial
      ? { denied: denial.reason, rule: denial.condition.rule, says: denial.says(), until: denial.until }
      : { denied: denial.reason }
  }
  const { call, rule, observed } = decision.permit
  return { allowed: rule, volume: call.touches.volume ?? [], observed: observed && 'condition' in observed }
}

describe('the same wish', () => {
  test('names capabilities that exist', () => expect(names).toEqual(expect.arrayContaining(used)))

  test.each(Object.entries(intents))('%s: one answer, in whichever language and through whichever door', (_, spell) => {
    fc.assert(
      fc.property(
        roles,
        fc.subarray(['kid', 'guest', 'member'], { minLength: 1 }),
        fc.option(fc.subarray(['kid', 'guest'], { minLength: 1 }), { nil: undefined }),
        fc.constantFrom(...players),
        level,
        fc.constantFrom(...uris),
        fc.date({ min: new Date('2026-01-01'), max: new Date('2027-12-31'), noInvalidDate: true }),
        (config, own, ceiling, player, volume, uri, at) => {
          const policy = compile(config, { zone: 'Europe/Berlin' })
          const answers = spell(volume, uri).flatMap((request) =>
            doors.map((door) => {
              const by = person(own, ceiling)
              return noticed(policy, { id: 'r', by, door, player, at: at.getTime() }, request)
            }),
          )
          for (const { volume: set, ...answer } of answers) {
            const { volume: first, ...others } = answers[0] as (typeof answers)[number]
            expect(answer).toEqual(others)
            // Some have more steps than others in which to say how loud: what is scaled is said as exactly as that.
            const differences = (set ?? []).map((each, i) => Math.abs(each - (first?.[i] ?? Number.NaN)))
            expect(differences.every((difference) => difference <= 1)).toBe(true)
          }
        },
      ),
      { numRuns: 400 },
    )
  })
})
