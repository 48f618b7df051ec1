import { describe, expect, test } from 'vitest'
import { explain } from '../../src/config/explain.ts'
import { readConfig } from '../../src/config/load.ts'

const said = (when: string) =>
  readConfig(
    `players: { home: { kind: mpd, mpd: "127.0.0.1:6600" } }\nroles: { kid: { grants: [{ allow: ["*"], when: ${when} }] } }\n`,
    'c.yaml',
    { env: {}, read: () => '' },
  ).problems.map(explain)

describe('uris', () => {
  test.each([
    '{ uris: { allow: ["local:", "spotify:"], deny: ["spotify:show:"] } }',
    '{ uris: { allow: ["https://*.radio.example/live/", "path:kids/", "file:///srv/music/", "http://192.168.1.5:8000/"] } }',
    '{ uris: { deny: ["file:"] } }',
    '{ uriSchemes: [local, path] }',
  ])('%s is sound', (when) => expect(said(when)).toEqual([]))

  test.each([
    ['{ uris: { allow: ["file:"] } }', /uris\.allow\[0\].*every file.*name a folder, such as file:\/\/\/srv\/music\//s],
    ['{ uris: { allow: ["FILE:"] } }', /every file/],
    ['{ uris: { allow: ["file:///"] } }', /not a folder/],
    ['{ uris: { allow: ["local:", "spotify"] } }', /uris\.allow\[1\].*no kind of address.*colon/s],
    ['{ uris: { deny: ["http://*.example.*/"] } }', /uris\.deny\[0\].*stands for nothing/s],
    ['{ uris: { allow: ["http://2130706433/"] } }', /not a host/],
    ['{ uris: { allow: [] } }', /empty list/],
    ['{ uris: {} }', /nothing in it/],
    ['{ uris: { permit: ["local:"] } }', /unknown key "permit"/],
    ['{ uris: ["local:"] }', /uris/],
  ])('%s is explained', (when, text) => expect(said(when).join('\n')).toMatch(text))
})
