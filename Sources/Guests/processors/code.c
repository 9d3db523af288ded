/* Changed code: one processor writes an instruction that the others have executed already (SDM vol. 3, 9.1.3). */

#include "processors.h"

#include "kernel.h"

static unsigned wrong;

/* MOV EAX, number; RET. */
static uint8_t code[] __attribute__((aligned(4096))) = {0xb8, 0, 0, 0, 0, 0xc3};

static uint32_t call_code(void) {
    uint32_t value;
    asm volatile("call *%1" : "=a"(value) : "r"(code) : "memory");
    return value;
}

static void serialize(void) {
    uint32_t a = 0, b, c = 0, d;
    asm volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d) : : "memory");
}

uint64_t change_code(unsigned processor, uint64_t changes) {
    for (uint64_t change = 1; change <= changes; change++) {
        /* The processors take turns. */
        if (change % processor_count == processor)
            *(volatile uint32_t *)(code + 1) = (uint32_t)change;
        barrier();
        serialize();
        if (call_code() != change)
            __atomic_add_fetch(&wrong, 1, __ATOMIC_SEQ_CST);
        barrier();
    }
    if (wrong != 0) {
        if (processor == 0)
            print("%u calls executed old code\n", wrong);
        exit_guest(EXIT_FAILURE);
    }
    return changes;
}
