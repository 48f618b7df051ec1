// @peculiar/x509 finds its own parts through a container (tsyringe) that refuses to load without a metadata polyfill.
// None of those parts takes constructor arguments, so there is no metadata to keep: answering "none" is all it needs.
Object.assign(Reflect, { getMetadata: none, getOwnMetadata: none })

function none(): undefined {
  return undefined
}
