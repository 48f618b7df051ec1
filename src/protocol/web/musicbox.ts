import { alarming, catalog, op, refuse, sending } from '../../call/catalog.ts'

/** What the web client of a MusicBox can do to the machine, by Mopidy-WebSettings. */
export const musicbox = catalog('web', {
  'POST /settings/shutdown': alarming(sending('form', op('server.admin'))),
  'POST /settings/reboot': alarming(sending('form', op('server.admin'))),
  'ANY /settings/*': alarming(refuse('server.admin', 'it shows and writes the passwords of the machine')),
})
