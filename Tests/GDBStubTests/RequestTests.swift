import Testing

@testable import GDBStub

@Suite struct RequestTests {
  private static let known: [(String, Request)] = [
    ("?", .whyStopped), ("g", .readRegisters), ("G00ff", .writeRegisters([0, 255])), ("p1f", .readRegister(31)),
    ("P10=0102", .writeRegister(16, [1, 2])), ("mffffffff80000000,10", .readMemory(0xffff_ffff_8000_0000, count: 16)),
    ("M1000,2:abcd", .writeMemory(0x1000, [0xab, 0xcd])), ("x0,8", .readBinaryMemory(0, count: 8)),
    ("X10,3:abc", .writeMemory(0x10, [97, 98, 99])), ("X10,0:", .writeMemory(0x10, [])),
    ("Hg0", .selectThread(.any, isForRunning: false)), ("Hc-1", .selectThread(.all, isForRunning: true)),
    ("Hgp1.2", .selectThread(.one(2), isForRunning: false)), ("T1f", .isThreadAlive(.one(31))),
    ("c", .resume([ResumeAction(.run, .any)])), ("s", .resume([ResumeAction(.step, .any)])),
    ("c100", .resumeAt(0x100, .run)), ("C05", .resume([ResumeAction(.run, .any)])),
    ("S05;100", .resumeAt(0x100, .step)), ("bs", .reverseStep), ("bc", .reverseContinue),
    ("vCont?", .resumeKinds), ("vCont;c", .resume([ResumeAction(.run, .all)])),
    ("vCont;s:1;c", .resume([ResumeAction(.step, .one(1)), ResumeAction(.run, .all)])),
    ("vCont;S05:p1.3;C02:-1", .resume([ResumeAction(.step, .one(3)), ResumeAction(.run, .all)])),
    ("vCont;r10,20:1;t:2", .resume([ResumeAction(.range(from: 16, to: 32), .one(1)), ResumeAction(.stop, .one(2))])),
    ("Z0,1000,1", .insert(.init(.software, 0x1000, 1), conditions: [])),
    ("Z1,1000,1;X2,2227X1,27", .insert(.init(.hardware, 0x1000, 1), conditions: [[0x22, 0x27], [0x27]])),
    ("z2,2000,8", .remove(.init(.writeWatch, 0x2000, 8))), ("Z3,0,1", .insert(.init(.readWatch, 0, 1), conditions: [])),
    ("Z4,0,1", .insert(.init(.accessWatch, 0, 1), conditions: [])), ("Z5,0,1", .unknown),
    ("qSupported:swbreak+;xmlRegisters=i386", .supported(["swbreak+", "xmlRegisters=i386"])),
    (
      "qXfer:features:read:target.xml:0,ffb",
      .transfer(object: "features", annex: "target.xml", offset: 0, length: 0xffb)
    ),
    ("qXfer:memory-map:read::10,20", .transfer(object: "memory-map", annex: "", offset: 16, length: 32)),
    ("qXfer:features:write:x:0:", .unknown), ("qC", .currentThread), ("qCRC:0,1", .unknown),
    ("qfThreadInfo", .firstThreads), ("qsThreadInfo", .moreThreads), ("qThreadExtraInfo,2", .threadText(.one(2))),
    ("qAttached:1", .isAttached), ("qAttached", .isAttached), ("qSymbol::", .symbolsOffered),
    ("qRcmd,68656c70", .monitor("help")), ("qqemu.Supported", .emulatorFeatures),
    ("qqemu.PhyMemMode", .isMemoryPhysical), ("Qqemu.PhyMemMode:1", .setMemoryPhysical(true)),
    ("qqemu.sstepbits", .stepFlagBits), ("qqemu.sstep", .stepFlags), ("Qqemu.sstep=0x1", .setStepFlags(1)),
    ("QStartNoAckMode", .stopAcknowledging), ("D", .detach), ("D;1", .detach), ("k", .kill), ("vKill;1", .killProcess),
    ("vFile:setfs:0", .file(.setFileSystem)), ("vFile:open:2f61,0,0", .file(.open(path: "/a"))),
    ("vFile:fstat:3", .file(.status(3))), ("vFile:pread:3,10,20", .file(.read(3, count: 16, offset: 32))),
    ("vFile:close:3", .file(.close(3))), ("vFile:unlink:2f61", .file(.other)),
    ("vMustReplyEmpty", .unknown), ("vRun;", .unknown), ("vAttach;1", .unknown), ("!", .unknown), ("", .unknown),
    ("QNonStop:1", .unknown), ("bx", .unknown), ("\u{1}", .unknown),
  ]

  @Test(arguments: known.indices)
  func `a request is read as what gdb means`(index: Int) {
    let (text, request) = Self.known[index]
    #expect(Request(Array(text.utf8)) == request, "\(text)")
  }

  @Test(
    arguments: [
      "m", "m0", "m0,", "m,1", "m10000000000000000,1", "m0,ffffffffffffffff", "M0,2:ab", "M0,1:xy", "G0", "Gxx", "P1",
      "P1=x", "p", "Hg", "H", "T", "X0,2:a", "X0", "cx", "C", "S5;", "Z0", "Z0,0", "Z0,x,1", "z0,0", "Z0,0,1;X9,22",
      "Z0,0,1;X1,2", "Z0,0,1;y", "Z0,0,1;cmds:0", "vCont", "vCont;", "vCont;q", "vCont;s:", "vCont;sx", "vCont;r1:1",
      "qRcmd,6", "qXfer:features:read:target.xml:0", "Qqemu.PhyMemMode:", "vFile:open:x,0,0", "vFile:pread:3,1",
      "vFile:fstat:", "qThreadExtraInfo,", "Qqemu.sstep=", "Hgp1.",
    ])
  func `what is written wrongly is told, not guessed at`(text: String) {
    #expect(Request(Array(text.utf8)) == .malformed, "\(text)")
  }
}

@Suite struct AgentExpressionTests {
  private let target = AgentExpression.Target(
    register: { $0 < 4 ? UInt64($0) * 100 : nil },
    memory: { $0 == 0x1000 ? 0x1234_5678 & (1 << (8 * UInt64($1)) &- 1) : nil })

  @Test(
    arguments: [
      ([0x22, 5, 0x22, 3, 0x02, 0x27], 8), ([0x22, 5, 0x22, 3, 0x03, 0x27], 2),
      ([0x22, 3, 0x22, 5, 0x03, 0x27], UInt64.max - 1), ([0x22, 6, 0x22, 7, 0x04, 0x27], 42),
      ([0x22, 7, 0x22, 2, 0x06, 0x27], 3), ([0x22, 7, 0x22, 2, 0x08, 0x27], 1),
      ([0x22, 0xf9, 0x16, 8, 0x22, 2, 0x05, 0x27], UInt64(bitPattern: -3)),
      ([0x22, 0xf9, 0x16, 8, 0x22, 2, 0x07, 0x27], UInt64(bitPattern: -1)), ([0x22, 1, 0x22, 4, 0x09, 0x27], 16),
      ([0x22, 0x80, 0x16, 8, 0x22, 1, 0x0a, 0x27], UInt64(bitPattern: -64)), ([0x22, 0x80, 0x22, 1, 0x0b, 0x27], 64),
      ([0x22, 0, 0x0e, 0x27], 1), ([0x22, 6, 0x22, 3, 0x0f, 0x27], 2), ([0x22, 6, 0x22, 3, 0x10, 0x27], 7),
      ([0x22, 6, 0x22, 3, 0x11, 0x27], 5), ([0x22, 0, 0x12, 0x27], .max), ([0x22, 4, 0x22, 4, 0x13, 0x27], 1),
      ([0x22, 0xff, 0x16, 8, 0x22, 1, 0x14, 0x27], 1), ([0x22, 0xff, 0x16, 8, 0x22, 1, 0x15, 0x27], 0),
      ([0x23, 1, 2, 0x27], 0x102), ([0x24, 1, 2, 3, 4, 0x27], 0x0102_0304),
      ([0x25, 1, 2, 3, 4, 5, 6, 7, 8, 0x27], 0x0102_0304_0506_0708), ([0x26, 0, 2, 0x27], 200),
      ([0x23, 0x10, 0, 0x19, 0x27], 0x1234_5678), ([0x23, 0x10, 0, 0x18, 0x27], 0x5678),
      ([0x23, 0x10, 0, 0x17, 0x27], 0x78), ([0x23, 1, 0xff, 0x2a, 8, 0x27], 0xff),
      ([0x22, 1, 0x22, 2, 0x2b, 0x03, 0x27], 1), ([0x22, 1, 0x22, 2, 0x29, 0x27], 1),
      ([0x22, 3, 0x28, 0x04, 0x27], 9),
      // if_goto over a constant, and goto.
      ([0x22, 1, 0x20, 0, 7, 0x22, 9, 0x22, 8, 0x27], 8), ([0x21, 0, 5, 0x22, 9, 0x22, 8, 0x27], 8),
      ([0x22, 1, 0x22, 2, 0x32, 1, 0x27], 1), ([0x22, 1, 0x22, 2, 0x22, 3, 0x33, 0x27], 2),
      ([0x22, 1, 0x22, 2, 0x22, 3, 0x33, 0x29, 0x27], 1),
    ] as [([UInt8], UInt64)])
  func `operations have the manual's values`(code: [UInt8], value: UInt64) {
    #expect(AgentExpression(code).value(target) == value)
  }

  @Test(
    arguments: [
      [], [0x27], [0x22], [0x02, 0x27], [0x22, 1, 0x02, 0x27], [0x22, 1, 0x22, 0, 0x05, 0x27],
      [0x22, 1, 0x22, 0, 0x08, 0x27], [0x26, 0, 9, 0x27], [0x22, 0, 0x17, 0x27], [0x22, 1], [0x21, 0xff, 0xff],
      [0x21, 0, 0], [0x01], [0x0c], [0x34], [0xff], [0x29], [0x2b], [0x33], [0x22, 1, 0x32, 5, 0x27],
      [0x22, 1, 0x21, 0, 0],
    ] as [[UInt8]])
  func `what has no value ends all the same`(code: [UInt8]) {
    #expect(AgentExpression(code).value(target) == nil)
  }

  @Test func `the smallest number divided by minus one does no harm`() {
    let code: [UInt8] = [0x25, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x22, 0xff, 0x16, 8]
    #expect(AgentExpression(code + [0x05, 0x27]).value(target) == 1 << 63)
    #expect(AgentExpression(code + [0x07, 0x27]).value(target) == 0)
  }
}
