/* One instruction, or a few, executed in ring 0 or ring 3 with chosen registers: what becomes of it, as a value. */
#pragma once

#include <stdint.h>

enum {
    DONE = 0x80, /* the vector by which code that has raised nothing ends */
    RUN_RING3 = 3,
    TARGET = 32, /* where in a page of code INT 0x80 stands for transfers to go to */
};

/* Where code and data are, for each ring its own: below 2 GiB, so that compatibility mode reaches them. */
struct place {
    uint64_t code, stack, data;
};
extern struct place place_kernel, place_user;

struct registers {
    uint64_t rax, rcx, rdx, rbx, rsi, rdi, rbp;
    uint64_t rsp, rflags;
};

struct outcome {
    uint64_t vector, error, cr2;
    uint64_t rip, cs, rflags, rsp, ss;
    uint64_t rax, rcx, rdx, rbx;
    uint16_t ds, es, fs, gs;
};

void run_initialize(void);

/* The place of a ring's code, stack and data. */
const struct place *place_of(unsigned ring);

/* Registers with the stack in the middle of its page and RFLAGS clear. */
struct registers registers_of(unsigned ring);

/* Executes the bytes and then INT 0x80. */
struct outcome run(unsigned ring, const uint8_t *code, unsigned length, const struct registers *registers);

/* Prints what came of it: the exception with its error code, CR2 and where, or the word ok; and a space. */
void outcome_print(const struct outcome *outcome, unsigned ring);
