#ifndef PENUMBRA_CCAPSTONE_H
#define PENUMBRA_CCAPSTONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if __has_include(<capstone/x86.h>)
#include <capstone/capstone.h>
#else
#include <capstone.h>
#endif

/// What kind of register a number belongs to.
typedef enum DecodedRegisterClass : uint8_t {
  DecodedRegisterNone,
  DecodedRegister8,
  /// AH, CH, DH, BH, numbered 0 to 3.
  DecodedRegister8High,
  DecodedRegister16,
  DecodedRegister32,
  DecodedRegister64,
  /// ES CS SS DS FS GS, in encoding order.
  DecodedRegisterSegment,
  DecodedRegisterControl,
  DecodedRegisterDebug,
  DecodedRegisterInstructionPointer,
  DecodedRegisterMMX,
  DecodedRegisterXMM,
  DecodedRegisterYMM,
  /// x87, ZMM, mask and whatever else.
  DecodedRegisterOther,
} DecodedRegisterClass;

/// A register as its class and its number in the instruction's encoding.
typedef struct DecodedRegister {
  DecodedRegisterClass kind;
  uint8_t number;
} DecodedRegister;

typedef enum DecodedOperandKind : uint8_t {
  DecodedOperandNone,
  DecodedOperandRegister,
  DecodedOperandImmediate,
  DecodedOperandMemory,
} DecodedOperandKind;

typedef struct DecodedOperand {
  DecodedOperandKind kind;
  uint8_t size;
  /// CS_AC_READ, CS_AC_WRITE.
  uint8_t access;
  /// log2 of the scale of the index.
  uint8_t scale;
  /// The register, or the base of the memory operand.
  DecodedRegister base;
  DecodedRegister index;
  DecodedRegister segment;
  /// The immediate, or the displacement of the memory operand.
  int64_t value;
} DecodedOperand;

#define DECODED_OPERAND_LIMIT 5

/// One instruction as Capstone understood it, without pointers.
typedef struct DecodedInstruction {
  /// `x86_insn`
  uint32_t id;
  uint8_t length;
  uint8_t operandCount;
  uint8_t addressSize;
  uint8_t rex;
  uint8_t modrm;
  uint8_t sib;
  /// The predicate of CMPccSD and its kin, whose instructions share one id.
  uint8_t sseCondition;
  uint8_t avxCondition;
  uint8_t prefixes[4];
  uint8_t opcode[4];
  DecodedOperand operands[DECODED_OPERAND_LIMIT];
} DecodedInstruction;

/// A Capstone handle for one mode and the one instruction that it reuses. Not shared between threads.
typedef struct CapstoneEngine CapstoneEngine;

/// `bits`: 16, 32 or 64. NULL where Capstone is built without x86 or memory is short.
CapstoneEngine *capstoneEngineCreate(int bits);
void capstoneEngineDestroy(CapstoneEngine *engine);

/// Decodes the instruction at `bytes`; false where Capstone knows none. Allocates nothing.
bool capstoneEngineDecode(
  CapstoneEngine *engine, const uint8_t *bytes, size_t count, uint64_t address, DecodedInstruction *result);

/// The text of the instruction decoded last, valid until the next one.
const char *capstoneEngineMnemonic(const CapstoneEngine *engine);
const char *capstoneEngineOperands(const CapstoneEngine *engine);

#endif
