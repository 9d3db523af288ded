import Boot

/// Arbitrary bytes as a guest's file: it is planned or refused.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzLoader(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  let image = [UInt8](UnsafeBufferPointer(start: bytes, count: count))
  let options = BootOptions(
    memorySize: 16 << 20, commandLine: "console=ttyS0", name: "fuzz", initrd: count & 1 == 0 ? nil : [1, 2, 3],
    processors: 1)
  guard let plan = try? BootPlan.make(image: image, options: options) else { return 0 }
  for segment in plan.segments where !segment.bytes.isEmpty {
    let end = segment.address.rawValue.addingReportingOverflow(UInt64(segment.bytes.count))
    precondition(!end.overflow && end.partialValue <= options.memorySize, "\(segment.name) lies outside memory")
  }
  _ = plan.symbols?.symbols
  return 0
}
