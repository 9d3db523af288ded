/// `; did you mean X?` for the nearest of the known names, or nothing where none is near.
public func suggestion(_ name: String, _ known: some Sequence<String>) -> String {
  let wanted = Array(name.lowercased().utf8.prefix(64))
  var best: (distance: Int, name: String)?
  for candidate in known {
    let distance = editDistance(wanted, Array(candidate.lowercased().utf8))
    if distance < best?.distance ?? .max { best = (distance, candidate) }
  }
  guard let best, best.distance <= (wanted.count < 4 ? 1 : max(2, wanted.count / 4)) else { return "" }
  return "; did you mean \(best.name)?"
}

/// Insertions, deletions and substitutions that turn one text into the other.
private func editDistance(_ left: [UInt8], _ right: [UInt8]) -> Int {
  var row = Array(0...right.count)
  for (i, a) in left.enumerated() {
    var diagonal = row[0]
    row[0] = i + 1
    for (j, b) in right.enumerated() {
      let above = row[j + 1]
      row[j + 1] = min(diagonal + (a == b ? 0 : 1), above + 1, row[j] + 1)
      diagonal = above
    }
  }
  return row[right.count]
}
