import Devices

/// What the guest's real-time clock says when the machine starts, in UTC to the second; the host's clock is never
/// asked.
public struct StartDate: Equatable, Sendable, CustomStringConvertible {
  /// From 1970 to 2099: what a two-digit year and its century byte can tell.
  public let date: CalendarDate

  /// 2024-01-01T00:00:00Z.
  public static let standard = StartDate(date: CalendarDate(year: 2024, month: 1, day: 1))

  private init(date: CalendarDate) { self.date = date }

  /// Reads `2024-01-31` or `2024-01-31T12:34:56Z`; nil for anything else, and for days that no calendar has.
  public init?(_ text: String) {
    let bytes = Array((text.utf8.count == 10 ? text + "T00:00:00Z" : text).utf8)
    let pattern = Array("0000-00-00T00:00:00Z".utf8)
    guard bytes.count == pattern.count else { return nil }
    for (byte, wanted) in zip(bytes, pattern) {
      let isDigit = UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte
      guard wanted == UInt8(ascii: "0") ? isDigit : byte == wanted else { return nil }
    }
    func number(_ range: Range<Int>) -> Int { bytes[range].reduce(0) { $0 * 10 + Int($1 & 15) } }
    let date = CalendarDate(
      year: number(0..<4), month: number(5..<7), day: number(8..<10), hour: number(11..<13), minute: number(14..<16),
      second: number(17..<19))
    // A date that is not on the calendar comes back as another.
    guard 1970...2099 ~= date.year, date.adding(seconds: 0) == date else { return nil }
    self.date = date
  }

  public var description: String {
    func two(_ number: Int) -> String { (number < 10 ? "0" : "") + "\(number)" }
    let day = "\(date.year)-\(two(date.month))-\(two(date.day))"
    return day + "T\(two(date.hour)):\(two(date.minute)):\(two(date.second))Z"
  }
}
