/// How a verb that prints a table prints it.
public enum OutputFormat: String, CaseIterable, Sendable {
  /// Columns for people.
  case table
  /// One JSON document.
  case json
  /// Comma-separated values, the first row naming the columns.
  case csv
}
