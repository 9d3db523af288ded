/* A planted bug, for the debugger's tutorial: a function that calls itself for every folder in a folder, with a buffer in each
   call, on a stack of four pages that has a guard page below. */

#include "kernel.h"

#define NOINLINE __attribute__((noinline))
/* The guard page; the stack is the four pages above it. */
#define GUARD 0x8000000000ull

enum { STACK_PAGES = 4, FOLDERS = 64, LONGEST_PATH = 480 };

struct folder {
    const char *name;
    const struct folder *inside;
    unsigned files;
};

struct folder folders[FOLDERS];
unsigned total;

NOINLINE void join(char *target, const char *path, const char *name) {
    unsigned length = 0;
    while (*path && length < LONGEST_PATH - 2)
        target[length++] = *path++;
    target[length++] = '/';
    while (*name && length < LONGEST_PATH - 1)
        target[length++] = *name++;
    target[length] = 0;
}

NOINLINE unsigned count_files(const struct folder *folder, const char *path) {
    char own[LONGEST_PATH]; /* the bug: half a KiB in each call, and nobody knows how many calls there will be */
    join(own, path, folder->name);
    unsigned files = folder->files;
    if (folder->inside)
        files += count_files(folder->inside, own);
    return files;
}

NOINLINE void task(void) {
    total = count_files(folders, "");
}

/* On a stack of its own (IST 1): the one in use may be what is broken. */
NOINLINE void double_fault(struct frame *frame) {
    print("double fault at %lx, stack pointer %lx\n", frame->rip, frame->rsp);
    exit_guest(EXIT_FAILURE);
}

static void run_on_stack(uint64_t top, void (*function)(void)) {
    asm volatile("movq %%rsp, %%rbx\n\tmovq %0, %%rsp\n\tcallq *%1\n\tmovq %%rbx, %%rsp"
                 :
                 : "r"(top), "r"(function)
                 : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "cc", "memory");
}

void kernel_main(const char *parameters) {
    (void)parameters;
    handlers[VECTOR_DOUBLE_FAULT] = double_fault;
    interrupts_set_stack(VECTOR_DOUBLE_FAULT, 1);
    for (unsigned page = 1; page <= STACK_PAGES; page++)
        map_page(current_root(), GUARD + page * PAGE_4K, frame_allocate(), PAGE_WRITABLE);
    for (unsigned number = 0; number < FOLDERS; number++)
        folders[number] = (struct folder){"sub", number + 1 < FOLDERS ? &folders[number + 1] : 0, number};
    run_on_stack(GUARD + (STACK_PAGES + 1) * PAGE_4K, task);
    print("%u files\n", total);
}
