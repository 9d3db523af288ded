import Foundation

/// The terminal in the mode that a guest's serial line wants: byte by byte and without echo, Control-C still a signal.
enum Terminal {
  nonisolated(unsafe) private static var saved = termios()
  /// Read by signal handlers; written before they are installed and after they are of no use.
  nonisolated(unsafe) private static var isChanged = false

  /// Changes the mode if standard input is a terminal and this process may use it.
  static func enter() {
    guard isatty(STDIN_FILENO) == 1, tcgetpgrp(STDIN_FILENO) == getpgrp(), tcgetattr(STDIN_FILENO, &saved) == 0 else {
      return
    }
    var raw = saved
    raw.c_lflag &= ~tcflag_t(ICANON | ECHO)
    isChanged = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0
  }

  /// Puts the mode back. Safe in a signal handler.
  static func leave() {
    guard isChanged else { return }
    isChanged = false
    tcsetattr(STDIN_FILENO, TCSANOW, &saved)
  }
}
