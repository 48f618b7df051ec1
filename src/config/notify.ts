import Type, { type Static } from 'typebox'
import { strict } from './strict.ts'

const address = (description: string) =>
  Type.String({ pattern: '^https?://[^\\s@#\\\\]+$', maxLength: 2_000, description })

const Target = Type.Union([
  strict(
    { webhook: address('Where a JSON document is posted, such as https://hooks.example/stagedoor') },
    'A web server that is told',
  ),
  strict(
    { ntfy: address('A topic of ntfy, such as https://ntfy.sh/TOPIC: whoever knows its name reads along') },
    'A topic of ntfy',
  ),
])

/** Who hears of alarms. */
export const Notify = Type.Array(Target, {
  maxItems: 8,
  description:
    'Who is told when somebody tries what nobody tries by mistake: once per person and hour, by https (or http to a private address)',
})
export type NotifyTarget = Readonly<Static<typeof Target>>
