/* Doing what may raise an exception: the exception ends the attempt and is reported as a value. */
#pragma once

#include <stdint.h>

enum {
    NO_EXCEPTION = 256,
    VECTOR_DONE = 0x80, /* how ring 3 ends an attempt that raised nothing */
};

struct fault {
    uint64_t vector, error;
    uint64_t address; /* CR2 */
    uint64_t rip, cs, rax, rcx;
    uint64_t stack; /* where the handler found its frame */
};

void attempt_initialize(void);

/* Calls body(argument) in ring 0. */
struct fault attempt(void (*body)(uint64_t), uint64_t argument);

/* Accesses of ring 0. */
struct fault attempt_read(uint64_t address);
struct fault attempt_write(uint64_t address, uint64_t value);
struct fault attempt_call(uint64_t address);

/* Accesses of ring 3; `attempt_user_jump` starts at the address itself. RAX holds what was read. */
struct fault attempt_user_read(uint64_t address);
struct fault attempt_user_write(uint64_t address, uint64_t value);
struct fault attempt_user_jump(uint64_t address);

/* Runs one of the stubs of attempt.S in ring 3. */
struct fault attempt_user_stub(const char *stub);
extern const char user_breakpoint[], user_privileged[], user_interrupt[];
