#if os(Linux) && arch(x86_64)
  import Emulator
  import Foundation

  // `vector-generator FOLDER COUNT SEED`: vectors of every form, made by this machine's processor.
  exit(GeneratorCommand(Array(CommandLine.arguments.dropFirst())).run())
#else
  print("vector-generator: vectors are made on Linux on x86-64 only")
#endif
