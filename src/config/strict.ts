import Type, { type TProperties } from 'typebox'

/** A group of keys that takes no other. */
export const strict = <P extends TProperties>(properties: P, description: string) =>
  Type.Object(properties, { additionalProperties: false, description })
