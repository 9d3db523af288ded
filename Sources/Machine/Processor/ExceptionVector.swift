/// An exception on its way to delivery (SDM vol. 3, table 6-1).
@frozen public struct GuestException: Error, Equatable, Sendable {
  public var vector: UInt8
  /// The error code, for the vectors that push one.
  public var errorCode: UInt32
  public var hasErrorCode: Bool
  /// What CR2 becomes: page faults only.
  public var address: UInt64

  public init(vector: UInt8, errorCode: UInt32? = nil, address: UInt64 = 0) {
    self.vector = vector
    self.errorCode = errorCode ?? 0
    self.hasErrorCode = errorCode != nil
    self.address = address
  }

  public static let divide = GuestException(vector: 0)
  public static let debug = GuestException(vector: 1)
  public static let breakpoint = GuestException(vector: 3)
  public static let overflow = GuestException(vector: 4)
  public static let bound = GuestException(vector: 5)
  public static let invalidOpcode = GuestException(vector: 6)
  public static let deviceNotAvailable = GuestException(vector: 7)
  public static let doubleFault = GuestException(vector: 8, errorCode: 0)
  public static func invalidTSS(_ code: UInt16) -> GuestException { .init(vector: 10, errorCode: UInt32(code)) }
  public static func segmentNotPresent(_ code: UInt16) -> GuestException { .init(vector: 11, errorCode: UInt32(code)) }
  public static func stack(_ code: UInt16) -> GuestException { .init(vector: 12, errorCode: UInt32(code)) }
  public static func generalProtection(_ code: UInt16) -> GuestException { .init(vector: 13, errorCode: UInt32(code)) }
  public static func pageFault(_ fault: PageFault) -> GuestException {
    .init(vector: 14, errorCode: fault.errorCode, address: fault.address.rawValue)
  }
  /// #MF, an exception of the x87.
  public static let coprocessorError = GuestException(vector: 16)
  /// #XM, a SIMD floating-point exception.
  public static let vectorFloat = GuestException(vector: 19)
  public static let alignmentCheck = GuestException(vector: 17, errorCode: 0)

  /// Contributory exceptions and page faults make a double fault of a second one (SDM vol. 3, table 6-5).
  var isContributory: Bool { vector == 0 || (10...13).contains(vector) }

  /// The mnemonic, for messages: `#PF(6) at 0x1000`.
  public var description: String {
    let names = [
      "#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "", "#TS", "#NP", "#SS", "#GP", "#PF", "", "#MF",
      "#AC", "#MC", "#XM", "#VE", "#CP",
    ]
    var text = Int(vector) < names.count && names[Int(vector)] != "" ? names[Int(vector)] : "interrupt \(vector)"
    if hasErrorCode { text += "(0x\(String(errorCode, radix: 16)))" }
    if vector == 14 { text += " at 0x\(String(address, radix: 16))" }
    return text
  }
}
