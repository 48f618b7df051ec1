import type { Catalog } from '../call/catalog.ts'
import { house } from './house/catalog.ts'
import { goLibrespot } from './librespot/go.ts'
import { librespotJava } from './librespot/java.ts'
import { zeroconf, zeroconfOpen } from './librespot/zeroconf.ts'
import { mopidy } from './mopidy/catalog.ts'
import { mpd } from './mpd/catalog.ts'
import { webFiles } from './web/files.ts'
import { iris, irisHttp } from './web/iris.ts'
import { muse } from './web/muse.ts'
import { musicbox } from './web/musicbox.ts'
import { party } from './web/party.ts'
import { pibox } from './web/pibox.ts'

/** Every catalog there is, by the title people know it by: what is in none of them does not exist. */
export const catalogs: ReadonlyMap<string, Catalog> = new Map<string, Catalog>([
  ['Mopidy', mopidy],
  ['MPD', mpd],
  ['go-librespot', goLibrespot],
  ['librespot-java', librespotJava],
  ['zeroconf', zeroconf],
  ['zeroconf in a pairing window', zeroconfOpen],
  ['files of web clients', webFiles],
  ['Iris', iris],
  ['Iris by HTTP', irisHttp],
  ['Party', party],
  ['Pibox', pibox],
  ['MusicBox', musicbox],
  ['Muse', muse],
  ['the house', house],
])
