import type { Capability } from '../call/capability.ts'
import { otherClient, type WebClient, webClients } from '../protocol/web/clients.ts'
import { createExtensions, type Extensions } from './extensions.ts'
import { createIris, type IrisPlayer } from './iris.ts'
import { createWebServer, type WebServer } from './web.ts'

/** The web clients of a player that people may open, and the ways to what they need. */
export interface Website {
  readonly url: string
  readonly clients: readonly WebClient[]
  readonly files: WebServer
  readonly extensions: Extensions
  readonly iris: IrisPlayer
  close(): Promise<void>
}

/** A web client by its name, or where it lies when we know nothing of it. */
export type WebPlace = string | { readonly path: string; readonly capability?: Capability | undefined }

/** @param url the address of the player's web server, such as `http://127.0.0.1:6680` */
export function openWebsite(url: string, places: readonly WebPlace[]): Website {
  const clients = places.flatMap((place) => {
    const known = typeof place === 'string' ? webClients.get(place) : otherClient(place.path, place.capability)
    return known ? [known] : []
  })
  const [files, extensions, iris] = [createWebServer({ url }), createExtensions({ url }), createIris({ url })]
  return {
    url,
    clients,
    files,
    extensions,
    iris,
    async close() {
      await Promise.all([files, extensions, iris].map((part) => part.close()))
    },
  }
}
