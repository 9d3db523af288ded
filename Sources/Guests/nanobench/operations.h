/* The measured loops (operations.S) and what they work on. */
#pragma once

#include "kernel.h"

#define GROUND_PAGE (1ull << 39)            /* mapped; its entry is written */
#define ABSENT_PAGE (GROUND_PAGE + PAGE_4K) /* never mapped, in the same page table */
#define USER_CODE_PAGE (GROUND_PAGE + 2 * PAGE_4K)
#define USER_STACK_PAGE (GROUND_PAGE + 3 * PAGE_4K)

/* What an operation works on; operations.S knows the order. */
struct ground {
    uint64_t page;         /* a mapped page */
    uint64_t absent;       /* one that is not */
    entry *entry;          /* of the mapped page */
    uint64_t user_code;    /* a copy of user_loop that ring 3 may run */
    uint64_t user_stack;   /* the top of its stack */
    uint64_t faults;       /* stepped over so far, as the handlers count */
};

/* Does the operation `count` times (1 or more) between the mark and mark 0; mark 0 stands for no measurement. */
typedef void operation(uint64_t count, struct ground *ground, unsigned mark);

operation loop_nothing, loop_call, loop_system_call, loop_port, loop_cr8, loop_divide, loop_page_fault, loop_entry, loop_invlpg, loop_cr3;

/* Handlers that step over the instruction that faulted, and the one that ends ring 3's loop. */
extern const char step_over_divide_error[], step_over_page_fault[], leave_user[];

/* Where SYSCALL leads. */
extern const char system_call[];

/* Ring 3's loop, to be copied to where it may run. */
extern const char user_loop[], user_loop_end[];
