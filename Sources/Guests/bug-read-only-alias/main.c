/* A planted bug, for the debugger's tutorial: a mailbox is one frame that two parties map, each at its own address. What the
   sender writes never arrives. */

#include "kernel.h"

#define NOINLINE __attribute__((noinline))
#define RECEIVER 0x8000000000ull
#define SENDER 0x8000200000ull

enum { LETTERS = 5 };

struct mailbox {
    uint64_t sent;
    uint64_t letters[LETTERS];
};

/* A second mapping of a page, at another address. */
NOINLINE void share(uint64_t from, uint64_t to) {
    entry *theirs = entry_for(current_root(), from, LEVEL_PT);
    entry *ours = entry_for(current_root(), to, LEVEL_PT);
    *ours = *theirs & ~PAGE_WRITABLE; /* the bug: this is how a fork shares, where each side is to get a copy of its own */
}

/* A write to a page that is there but read-only: copy on write. */
NOINLINE void page_fault(struct frame *frame) {
    uint64_t address = read_cr2() & ~(PAGE_4K - 1);
    entry *e = entry_find(current_root(), address, LEVEL_PT);
    if (!e || frame->error != (FAULT_PRESENT | FAULT_WRITE)) {
        print("page fault at %lx, error %lx\n", read_cr2(), frame->error);
        exit_guest(EXIT_FAILURE);
    }
    uint64_t copy = frame_allocate();
    memcpy((void *)copy, (void *)(*e & PAGE_ADDRESS), FRAME_SIZE);
    *e = copy | PAGE_PRESENT | PAGE_WRITABLE;
    invalidate_page(address);
}

NOINLINE void letter_send(uint64_t letter) {
    volatile struct mailbox *mailbox = (volatile struct mailbox *)SENDER;
    mailbox->letters[mailbox->sent] = letter;
    mailbox->sent++;
}

NOINLINE uint64_t letters_waiting(void) {
    return ((volatile struct mailbox *)RECEIVER)->sent;
}

void kernel_main(const char *parameters) {
    (void)parameters;
    handlers[VECTOR_PAGE_FAULT] = page_fault;
    map_page(current_root(), RECEIVER, frame_allocate(), PAGE_WRITABLE);
    share(RECEIVER, SENDER);
    for (unsigned number = 0; number < LETTERS; number++)
        letter_send(100 + number);
    uint64_t waiting = letters_waiting();
    print("sent %u letters, received %lu\n", LETTERS, waiting);
    exit_guest(waiting == LETTERS ? EXIT_SUCCESS : EXIT_FAILURE);
}
