import type { Call, Request } from '../call/call.ts'
import { Fault } from '../call/fault.ts'
import type { Known } from '../call/known.ts'
import { isObject } from '../protocol/jsonrpc/message.ts'
import { mopidy } from '../protocol/mopidy/catalog.ts'
import { mpd } from '../protocol/mpd/catalog.ts'
import { pibox } from '../protocol/web/pibox.ts'
import type { MopidyPlayer } from './mopidy.ts'
import type { WatchedMpd } from './mpd.ts'
import { UpstreamError } from './player.ts'

/** Bytes of an answer: metadata of ten thousand songs. */
const mostBytes = 8 * 1024 * 1024
/** What Mopidy's queue holds at most. */
const mostAdded = 10_000
/** MPD's errors for what is not there, and for arguments that it does not take. */
const [noExist, badArguments] = [50, 2]

/**
 * What a command of MPD adds, or has looked up, without naming it: the player is asked for the same.
 *
 * Nothing for what is too much to look through, so that it is not known. A playlist that is not there adds nothing, and the
 * player itself says so.
 *
 * @throws Fault
 */
export async function addsOf(player: Pick<WatchedMpd, 'ask'>, call: Call): Promise<Pick<Known, 'adds'>> {
  const question = questionOf(call)
  if (!question) return {}
  try {
    const adds = filesIn(await player.ask([question], mostBytes))
    return adds.length > mostAdded ? {} : { adds }
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined
    if (cause instanceof RangeError) return {}
    if (!(cause instanceof UpstreamError)) throw error
    if (cause.code === noExist) return { adds: [] }
    if (cause.code === badArguments) throw new Fault('bad-arguments', cause.message, { cause })
    throw error
  }
}

/**
 * What a page of Mopidy's adds by the playlists it names: each is read.
 *
 * @throws Fault or UpstreamError
 */
export async function addsOfPage(player: Pick<MopidyPlayer, 'ask'>, call: Call): Promise<Pick<Known, 'adds'>> {
  if (call.operation !== pibox['POST /pibox/api/session']) return {}
  const adds: string[] = []
  for (const uri of call.touches.uri ?? []) {
    const items = (await player.ask({ operation: mopidy['core.playlists.get_items'], args: { uri } })) ?? []
    if (!Array.isArray(items)) return {}
    for (const item of items) adds.push(isObject(item) && typeof item.uri === 'string' ? item.uri : '')
    if (adds.length > mostAdded) return {}
  }
  return { adds }
}

/** The question whose answer has every address that the command will use, and maybe more. */
function questionOf({ operation, args }: Call): Request | undefined {
  const { playlist, match, sort, window } = args
  switch (operation) {
    case mpd.load:
    case mpd.listplaylistinfo:
    case mpd.playlistlength:
    case mpd.searchplaylist:
      // Whole, though a part may be asked for: which part a player takes is told in different ways.
      return { operation: mpd.listplaylist, args: { playlist } }
    case mpd.findadd:
    case mpd.findaddpl:
      return { operation: mpd.find, args: { match, sort, window } }
    case mpd.searchadd:
    case mpd.searchaddpl:
      return { operation: mpd.search, args: { match, sort, window } }
    default:
      return undefined
  }
}

function filesIn(answer: string): readonly string[] {
  const files = answer.split('\n').flatMap((line) => (line.startsWith('file: ') ? [line.slice(6)] : []))
  // As texts of their own: a part of the answer would keep all of it in memory, for as long as a list is looked through.
  return Buffer.from(files.join('\n')).toString().split('\n').slice(0, files.length)
}
