/// Calls a body with every pair, triple or quadruple of values: loops that read as one line.
public func withEvery<A, B>(_ a: some Sequence<A>, _ b: some Sequence<B>, _ body: (A, B) throws -> Void) rethrows {
  let b = Array(b)
  for a in a { for b in b { try body(a, b) } }
}

public func withEvery<A, B, C>(
  _ a: some Sequence<A>, _ b: some Sequence<B>, _ c: some Sequence<C>, _ body: (A, B, C) throws -> Void
) rethrows {
  let c = Array(c)
  try withEvery(a, b) { a, b in for c in c { try body(a, b, c) } }
}

public func withEvery<A, B, C, D>(
  _ a: some Sequence<A>, _ b: some Sequence<B>, _ c: some Sequence<C>, _ d: some Sequence<D>,
  _ body: (A, B, C, D) throws -> Void
) rethrows {
  let d = Array(d)
  try withEvery(a, b, c) { a, b, c in for d in d { try body(a, b, c, d) } }
}
