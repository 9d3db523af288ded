/// A date and time of day in the proleptic Gregorian calendar, without a time zone.
public struct CalendarDate: Equatable, Sendable {
  public var year: Int
  /// 1 to 12.
  public var month: Int
  /// 1 to 31.
  public var day: Int
  /// 0 to 23.
  public var hour: Int
  public var minute: Int
  public var second: Int

  public init(year: Int, month: Int, day: Int, hour: Int = 0, minute: Int = 0, second: Int = 0) {
    self.year = year
    self.month = month
    self.day = day
    self.hour = hour
    self.minute = minute
    self.second = second
  }

  /// 1 for Sunday to 7 for Saturday.
  public var weekday: Int {
    // Day 0 is 1970-01-01, a Thursday.
    let sinceSunday = (dayNumber + 4) % 7
    return (sinceSunday + 7) % 7 + 1
  }

  /// Seconds since midnight, 0 to 86399; parts out of range are taken for the nearest legal value.
  public var secondOfDay: Int { (clamp(hour, 0, 23) * 60 + clamp(minute, 0, 59)) * 60 + clamp(second, 0, 59) }

  /// The date some seconds (less than 2^50) later. Parts out of range are taken for the nearest legal value, since a
  /// guest may have set its clock to anything.
  public func adding(seconds: Int) -> CalendarDate {
    let total = secondOfDay + seconds
    let rest = total % 86400
    var date = CalendarDate(dayNumber: dayNumber + total / 86400)
    date.hour = rest / 3600
    date.minute = rest / 60 % 60
    date.second = rest % 60
    return date
  }

  // Days are counted in eras of 400 years of 146,097 days that begin on a first of March, so that the leap day is a
  // year's last.

  /// Days since 1970-01-01.
  private var dayNumber: Int {
    let month = clamp(month, 1, 12)
    let shifted = clamp(year, 0, 99_999_999) - (month <= 2 ? 1 : 0)
    let era = (shifted + 400) / 400 - 1
    let yearOfEra = shifted - era * 400
    let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + clamp(day, 1, 31) - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
  }

  /// The midnight that begins a day from year 0 on.
  private init(dayNumber: Int) {
    let days = dayNumber + 719_468 + 146_097
    let era = days / 146_097 - 1
    let dayOfEra = days % 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    self.init(
      year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month: month,
      day: dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
  }

  private func clamp(_ value: Int, _ least: Int, _ greatest: Int) -> Int { min(max(value, least), greatest) }
}
