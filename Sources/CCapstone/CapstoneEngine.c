#include "CCapstone.h"

#include <pthread.h>
#include <stdlib.h>

struct CapstoneEngine {
  csh handle;
  cs_insn *instruction;
};

#define REGISTER(class, n) {DecodedRegister##class, n}

/// Capstone's alphabetical registers -> class and number in encoding order. What is not named here is `Other`.
static const DecodedRegister registers[X86_REG_ENDING] = {
  [X86_REG_AL] = REGISTER(8, 0), [X86_REG_CL] = REGISTER(8, 1), [X86_REG_DL] = REGISTER(8, 2),
  [X86_REG_BL] = REGISTER(8, 3), [X86_REG_SPL] = REGISTER(8, 4), [X86_REG_BPL] = REGISTER(8, 5),
  [X86_REG_SIL] = REGISTER(8, 6), [X86_REG_DIL] = REGISTER(8, 7), [X86_REG_R8B] = REGISTER(8, 8),
  [X86_REG_R9B] = REGISTER(8, 9), [X86_REG_R10B] = REGISTER(8, 10), [X86_REG_R11B] = REGISTER(8, 11),
  [X86_REG_R12B] = REGISTER(8, 12), [X86_REG_R13B] = REGISTER(8, 13), [X86_REG_R14B] = REGISTER(8, 14),
  [X86_REG_R15B] = REGISTER(8, 15),
  [X86_REG_AH] = REGISTER(8High, 0), [X86_REG_CH] = REGISTER(8High, 1), [X86_REG_DH] = REGISTER(8High, 2),
  [X86_REG_BH] = REGISTER(8High, 3),
  [X86_REG_AX] = REGISTER(16, 0), [X86_REG_CX] = REGISTER(16, 1), [X86_REG_DX] = REGISTER(16, 2),
  [X86_REG_BX] = REGISTER(16, 3), [X86_REG_SP] = REGISTER(16, 4), [X86_REG_BP] = REGISTER(16, 5),
  [X86_REG_SI] = REGISTER(16, 6), [X86_REG_DI] = REGISTER(16, 7), [X86_REG_R8W] = REGISTER(16, 8),
  [X86_REG_R9W] = REGISTER(16, 9), [X86_REG_R10W] = REGISTER(16, 10), [X86_REG_R11W] = REGISTER(16, 11),
  [X86_REG_R12W] = REGISTER(16, 12), [X86_REG_R13W] = REGISTER(16, 13), [X86_REG_R14W] = REGISTER(16, 14),
  [X86_REG_R15W] = REGISTER(16, 15),
  [X86_REG_EAX] = REGISTER(32, 0), [X86_REG_ECX] = REGISTER(32, 1), [X86_REG_EDX] = REGISTER(32, 2),
  [X86_REG_EBX] = REGISTER(32, 3), [X86_REG_ESP] = REGISTER(32, 4), [X86_REG_EBP] = REGISTER(32, 5),
  [X86_REG_ESI] = REGISTER(32, 6), [X86_REG_EDI] = REGISTER(32, 7), [X86_REG_R8D] = REGISTER(32, 8),
  [X86_REG_R9D] = REGISTER(32, 9), [X86_REG_R10D] = REGISTER(32, 10), [X86_REG_R11D] = REGISTER(32, 11),
  [X86_REG_R12D] = REGISTER(32, 12), [X86_REG_R13D] = REGISTER(32, 13), [X86_REG_R14D] = REGISTER(32, 14),
  [X86_REG_R15D] = REGISTER(32, 15),
  [X86_REG_RAX] = REGISTER(64, 0), [X86_REG_RCX] = REGISTER(64, 1), [X86_REG_RDX] = REGISTER(64, 2),
  [X86_REG_RBX] = REGISTER(64, 3), [X86_REG_RSP] = REGISTER(64, 4), [X86_REG_RBP] = REGISTER(64, 5),
  [X86_REG_RSI] = REGISTER(64, 6), [X86_REG_RDI] = REGISTER(64, 7), [X86_REG_R8] = REGISTER(64, 8),
  [X86_REG_R9] = REGISTER(64, 9), [X86_REG_R10] = REGISTER(64, 10), [X86_REG_R11] = REGISTER(64, 11),
  [X86_REG_R12] = REGISTER(64, 12), [X86_REG_R13] = REGISTER(64, 13), [X86_REG_R14] = REGISTER(64, 14),
  [X86_REG_R15] = REGISTER(64, 15),
  [X86_REG_ES] = REGISTER(Segment, 0), [X86_REG_CS] = REGISTER(Segment, 1), [X86_REG_SS] = REGISTER(Segment, 2),
  [X86_REG_DS] = REGISTER(Segment, 3), [X86_REG_FS] = REGISTER(Segment, 4), [X86_REG_GS] = REGISTER(Segment, 5),
  [X86_REG_IP] = REGISTER(InstructionPointer, 0), [X86_REG_EIP] = REGISTER(InstructionPointer, 1),
  [X86_REG_RIP] = REGISTER(InstructionPointer, 2),
};

/// `first`, if `reg` lies in the run of `count` registers that starts there.
static bool inRun(x86_reg reg, x86_reg first, int count) {
  return reg >= first && reg < first + count;
}

static DecodedRegister numbered(DecodedRegisterClass kind, int number) {
  return (DecodedRegister){kind, (uint8_t)number};
}

static DecodedRegister translate(x86_reg reg) {
  // EIZ and RIZ stand for "no index" in Capstone's texts.
  if (reg == X86_REG_INVALID || reg == X86_REG_EIZ || reg == X86_REG_RIZ || reg >= X86_REG_ENDING) {
    return numbered(DecodedRegisterNone, 0);
  }
  if (registers[reg].kind != DecodedRegisterNone) return registers[reg];
  if (inRun(reg, X86_REG_CR0, 16)) return numbered(DecodedRegisterControl, reg - X86_REG_CR0);
  if (inRun(reg, X86_REG_DR0, 16)) return numbered(DecodedRegisterDebug, reg - X86_REG_DR0);
  if (inRun(reg, X86_REG_MM0, 8)) return numbered(DecodedRegisterMMX, reg - X86_REG_MM0);
  if (inRun(reg, X86_REG_XMM0, 32)) return numbered(DecodedRegisterXMM, reg - X86_REG_XMM0);
  if (inRun(reg, X86_REG_YMM0, 32)) return numbered(DecodedRegisterYMM, reg - X86_REG_YMM0);
  return numbered(DecodedRegisterOther, 0);
}

static uint8_t binaryLogarithm(int scale) {
  return scale == 8 ? 3 : scale == 4 ? 2 : scale == 2 ? 1 : 0;
}

/// Of all engines: Capstone 4 sorts a table of implied registers when the first instruction of a process is decoded,
/// without a lock (its issue 1358). Two threads that do so together can leave it in disorder for the process's life, and
/// `or eax, imm32` without its EAX. So one instruction is decoded before anyone has an engine.
static pthread_once_t prepared = PTHREAD_ONCE_INIT;

static CapstoneEngine *createUnprepared(cs_mode mode) {
  CapstoneEngine *engine = calloc(1, sizeof *engine);
  if (!engine) return NULL;
  if (cs_open(CS_ARCH_X86, mode, &engine->handle) != CS_ERR_OK) {
    free(engine);
    return NULL;
  }
  cs_option(engine->handle, CS_OPT_DETAIL, CS_OPT_ON);
  engine->instruction = cs_malloc(engine->handle);
  if (!engine->instruction) {
    cs_close(&engine->handle);
    free(engine);
    return NULL;
  }
  return engine;
}

static void prepare(void) {
  CapstoneEngine *engine = createUnprepared(CS_MODE_64);
  if (!engine) return;
  const uint8_t nop[] = {0x90};
  DecodedInstruction ignored;
  capstoneEngineDecode(engine, nop, sizeof nop, 0, &ignored);
  capstoneEngineDestroy(engine);
}

CapstoneEngine *capstoneEngineCreate(int bits) {
  pthread_once(&prepared, prepare);
  return createUnprepared(bits == 16 ? CS_MODE_16 : bits == 32 ? CS_MODE_32 : CS_MODE_64);
}

void capstoneEngineDestroy(CapstoneEngine *engine) {
  if (!engine) return;
  cs_free(engine->instruction, 1);
  cs_close(&engine->handle);
  free(engine);
}

bool capstoneEngineDecode(
  CapstoneEngine *engine, const uint8_t *bytes, size_t count, uint64_t address, DecodedInstruction *result) {
  cs_insn *insn = engine->instruction;
  if (!cs_disasm_iter(engine->handle, &bytes, &count, &address, insn)) return false;

  const cs_x86 *x86 = &insn->detail->x86;
  result->id = insn->id;
  result->length = (uint8_t)insn->size;
  result->operandCount = x86->op_count < DECODED_OPERAND_LIMIT ? x86->op_count : DECODED_OPERAND_LIMIT;
  result->addressSize = x86->addr_size;
  result->rex = x86->rex;
  result->modrm = x86->modrm;
  result->sib = x86->sib;
  result->sseCondition = (uint8_t)x86->sse_cc;
  result->avxCondition = (uint8_t)x86->avx_cc;
  for (int i = 0; i < 4; i++) {
    result->prefixes[i] = x86->prefix[i];
    result->opcode[i] = x86->opcode[i];
  }
  for (int i = 0; i < DECODED_OPERAND_LIMIT; i++) {
    DecodedOperand *operand = &result->operands[i];
    *operand = (DecodedOperand){0};
    if (i >= result->operandCount) continue;
    const cs_x86_op *source = &x86->operands[i];
    operand->size = source->size;
    operand->access = source->access;
    switch (source->type) {
    case X86_OP_REG:
      operand->kind = DecodedOperandRegister;
      operand->base = translate(source->reg);
      break;
    case X86_OP_IMM:
      operand->kind = DecodedOperandImmediate;
      operand->value = source->imm;
      break;
    case X86_OP_MEM:
      operand->kind = DecodedOperandMemory;
      operand->base = translate(source->mem.base);
      operand->index = translate(source->mem.index);
      operand->segment = translate(source->mem.segment);
      operand->scale = binaryLogarithm(source->mem.scale);
      operand->value = source->mem.disp;
      break;
    default:
      break;
    }
  }
  return true;
}

const char *capstoneEngineMnemonic(const CapstoneEngine *engine) { return engine->instruction->mnemonic; }
const char *capstoneEngineOperands(const CapstoneEngine *engine) { return engine->instruction->op_str; }
