import Foundation

/// The terminal in the mode that a guest's serial line wants: byte by byte and without echo, Control-C still a signal.
enum Terminal {
  nonisolated(unsafe) private static var saved = termios()
  /// Read by signal handlers; written before they are installed and after they are of no use.
  nonisolated(unsafe) private static var isChanged = false

  /// Changes the mode if standard input is a terminal and this process may use it.
  ///
  /// - Parameter keys: whether every key is a byte, Control-C too: for a line editor.
  static func enter(keys: Bool = false) {
    leave()
    guard isatty(STDIN_FILENO) == 1, tcgetpgrp(STDIN_FILENO) == getpgrp(), tcgetattr(STDIN_FILENO, &saved) == 0 else {
      return
    }
    var raw = saved
    raw.c_lflag &= ~tcflag_t(ICANON | ECHO)
    if keys {
      raw.c_lflag &= ~tcflag_t(ISIG | IEXTEN)
      raw.c_iflag &= ~tcflag_t(ICRNL | IXON)
    }
    isChanged = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0
  }

  /// Its size; nil where standard output is none, or it does not tell.
  static var size: (columns: Int, rows: Int)? {
    var size = winsize()
    guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else { return nil }
    return (Int(size.ws_col), Int(size.ws_row))
  }

  /// How many columns it has.
  static var columns: Int { size?.columns ?? 80 }

  /// Puts the mode back. Safe in a signal handler.
  static func leave() {
    guard isChanged else { return }
    isChanged = false
    tcsetattr(STDIN_FILENO, TCSANOW, &saved)
  }
}
