/// A moment in UTC to the second, as the guest's real-time clock starts with it; the host's clock is never asked.
public struct CalendarTime: Hashable, Sendable, CustomStringConvertible {
  /// 1970 to 2099: what a two-digit year and its century byte can tell.
  public let year: Int
  /// 1 to 12.
  public let month: Int
  /// 1 to 31.
  public let day: Int
  public let hour: Int
  public let minute: Int
  /// 0 to 59.
  public let second: Int

  /// A moment; nil where there is none of that name.
  public init?(year: Int, month: Int, day: Int, hour: Int = 0, minute: Int = 0, second: Int = 0) {
    guard 1970...2099 ~= year, 1...12 ~= month, 1...CalendarTime.days(in: month, of: year) ~= day, 0...23 ~= hour,
      0...59 ~= minute, 0...59 ~= second
    else { return nil }
    (self.year, self.month, self.day) = (year, month, day)
    (self.hour, self.minute, self.second) = (hour, minute, second)
  }

  /// Reads `2024-01-31` or `2024-01-31T12:34:56Z`; nil for anything else.
  public init?(_ text: String) {
    let bytes = Array(text.utf8)
    func number(_ range: Range<Int>) -> Int? {
      bytes[range].allSatisfy { 48...57 ~= $0 } ? Int(String(decoding: bytes[range], as: UTF8.self)) : nil
    }
    func stands(_ character: Character, at index: Int) -> Bool { bytes[index] == character.asciiValue }
    guard bytes.count == 10 || bytes.count == 20, stands("-", at: 4), stands("-", at: 7), let year = number(0..<4),
      let month = number(5..<7), let day = number(8..<10)
    else { return nil }
    guard bytes.count == 20 else {
      self.init(year: year, month: month, day: day)
      return
    }
    guard stands("T", at: 10), stands(":", at: 13), stands(":", at: 16), stands("Z", at: 19),
      let hour = number(11..<13), let minute = number(14..<16), let second = number(17..<19)
    else { return nil }
    self.init(year: year, month: month, day: day, hour: hour, minute: minute, second: second)
  }

  /// Seconds since 1970-01-01T00:00:00Z, leap seconds not counted.
  public var secondsSince1970: UInt64 {
    var total = 0
    for earlier in 1970..<year { total += CalendarTime.isLeap(earlier) ? 366 : 365 }
    for earlier in 1..<month { total += CalendarTime.days(in: earlier, of: year) }
    total += day - 1
    return UInt64(((total * 24 + hour) * 60 + minute) * 60 + second)
  }

  public var description: String {
    func two(_ number: Int) -> String { (number < 10 ? "0" : "") + "\(number)" }
    return "\(year)-\(two(month))-\(two(day))T\(two(hour)):\(two(minute)):\(two(second))Z"
  }

  private static func isLeap(_ year: Int) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }

  private static func days(in month: Int, of year: Int) -> Int {
    switch month {
    case 2: isLeap(year) ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
  }
}
