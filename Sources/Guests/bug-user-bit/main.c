/* A planted bug, for the debugger's tutorial: a user program may not touch its own data, though the page's entry says that it
   may. */

#include "kernel.h"

#define NOINLINE __attribute__((noinline))
#define CODE 0x8000000000ull
/* What both the kernel and programs keep here has a table in common. */
#define LOG 0x8040000000ull
#define DATA 0x8040200000ull

enum { SYSTEM_CALL = 0x80 };

extern const char user_program[], user_program_end[];

/* A page of the kernel's own. */
NOINLINE void kernel_map(uint64_t address) {
    map_page(current_root(), address, frame_allocate(), PAGE_WRITABLE);
    /* Programs are to be kept out at every level that is not shared with them. */
    *entry_find(current_root(), address, LEVEL_PD) &= ~PAGE_USER;
    *entry_find(current_root(), address, LEVEL_PDPT) &= ~PAGE_USER; /* the bug: this one is shared */
}

NOINLINE void user_map(uint64_t address, uint64_t frame, uint64_t bits) {
    map_page(current_root(), address, frame, bits | PAGE_USER);
}

NOINLINE void page_fault(struct frame *frame) {
    print("program killed: page fault at %lx, error %lx, rip %lx\n", read_cr2(), frame->error, frame->rip);
    exit_guest(EXIT_FAILURE);
}

NOINLINE void system_call(struct frame *frame) {
    print("the program gives %lu\n", frame->rax);
    exit_guest(EXIT_SUCCESS);
}

/* IRETQ to ring 3, interrupts off. */
NOINLINE void user_enter(uint64_t rip, uint64_t argument) {
    asm volatile("pushq %0\n\tpushq $0\n\tpushq $2\n\tpushq %1\n\tpushq %2\n\tiretq"
                 :
                 : "i"(USER_DATA), "i"(USER_CODE), "r"(rip), "D"(argument)
                 : "memory");
}

void kernel_main(const char *parameters) {
    (void)parameters;
    handlers[VECTOR_PAGE_FAULT] = page_fault;
    handlers[SYSTEM_CALL] = system_call;
    interrupts_allow_user(SYSTEM_CALL);
    kernel_map(LOG);
    uint64_t code = frame_allocate();
    memcpy((void *)code, user_program, user_program_end - user_program);
    user_map(CODE, code, 0);
    user_map(DATA, frame_allocate(), PAGE_WRITABLE);
    user_enter(CODE, DATA);
}
