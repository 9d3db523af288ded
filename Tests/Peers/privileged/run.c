/* Code in a page of its own, and the handler that ends it whatever it does. */

#include "run.h"

#include "../../../Sources/Guests/Kernel/kernel.h"

enum { VECTORS = 32, INTERRUPT_STACK = 1 };

void run_enter(const struct registers *registers, uint64_t rip, uint64_t cs, uint64_t ss);
extern const char run_resume[];
extern uint64_t run_stack;

struct place place_kernel, place_user;

static struct outcome last;

static uint16_t segment(unsigned number) {
    uint64_t value = 0;
    switch (number) {
    case 0: asm volatile("movq %%ds, %0" : "=r"(value)); break;
    case 1: asm volatile("movq %%es, %0" : "=r"(value)); break;
    case 2: asm volatile("movq %%fs, %0" : "=r"(value)); break;
    default: asm volatile("movq %%gs, %0" : "=r"(value)); break;
    }
    return (uint16_t)value;
}

static void load_segments(void) {
    asm volatile("movl %0, %%ds; movl %0, %%es; movl %1, %%fs; movl %1, %%gs" : : "r"((uint32_t)KERNEL_DATA), "r"(0));
}

static void note(struct frame *frame) {
    last = (struct outcome){
        .vector = frame->vector,
        .error = frame->error,
        .cr2 = frame->vector == VECTOR_PAGE_FAULT ? read_cr2() : 0,
        .rip = frame->rip,
        .cs = frame->cs,
        .rflags = frame->rflags,
        .rsp = frame->rsp,
        .ss = frame->ss,
        .rax = frame->rax,
        .rcx = frame->rcx,
        .rdx = frame->rdx,
        .rbx = frame->rbx,
        .ds = segment(0),
        .es = segment(1),
        .fs = segment(2),
        .gs = segment(3),
    };
    load_segments();
    frame->rip = (uint64_t)run_resume;
    frame->cs = KERNEL_CODE;
    frame->rflags = 2;
    frame->rsp = run_stack;
    frame->ss = KERNEL_DATA;
}

static uint64_t page(uint64_t address, uint64_t bits) {
    map_page(current_root(), address, frame_allocate(), bits);
    return address;
}

static struct place pages(uint64_t address, uint64_t bits) {
    return (struct place){
        .code = page(address, bits | PAGE_WRITABLE),
        .stack = page(address + 0x2000, bits | PAGE_WRITABLE),
        .data = page(address + 0x4000, bits | PAGE_WRITABLE),
    };
}

const struct place *place_of(unsigned ring) {
    return ring == 0 ? &place_kernel : &place_user;
}

/* INT 0x80 where transfers go to. */
static const uint8_t done[] = {0xcd, DONE};

static uint8_t *code_of(unsigned ring) {
    /* Through the identity mapping: where the code lies CR0.WP and the like do not matter. */
    return (uint8_t *)(*entry_for(current_root(), place_of(ring)->code, LEVEL_PT) & PAGE_ADDRESS);
}

void run_initialize(void) {
    for (unsigned vector = 0; vector < VECTORS; vector++)
        handlers[vector] = note;
    handlers[DONE] = note;
    interrupts_allow_user(DONE);
    interrupts_allow_user(VECTOR_BREAKPOINT);
    /* On a stack that is good, whatever the code does to its own. */
    for (unsigned vector = 0; vector < 256; vector++)
        interrupts_set_stack(vector, INTERRUPT_STACK);
    /* Caching on, whatever the firmware has left. */
    write_cr0(read_cr0() & ~(3ul << 29));
    current_root()[0] |= PAGE_USER;
    /* No LDT, which boot loaders leave open. */
    asm volatile("lldt %w0" : : "r"(0));
    place_kernel = pages(0x40000000, 0);
    place_user = pages(0x50000000, PAGE_USER);
    /* IRETW comes to the first 64 KiB. */
    uint8_t *volatile low = 0;
    memcpy(low + TARGET, done, sizeof done);
    memcpy(code_of(0) + TARGET, done, sizeof done);
    memcpy(code_of(RUN_RING3) + TARGET, done, sizeof done);
}

struct registers registers_of(unsigned ring) {
    return (struct registers){.rsp = place_of(ring)->stack + 0x800, .rflags = 2};
}

struct outcome run(unsigned ring, const uint8_t *code, unsigned length, const struct registers *registers) {
    uint8_t *at = code_of(ring);
    memset(at, 0xcc, TARGET);
    memcpy(at, code, length);
    memcpy(at + length, done, sizeof done);
    run_enter(registers, place_of(ring)->code, ring == 0 ? KERNEL_CODE : USER_CODE, ring == 0 ? KERNEL_DATA : USER_DATA);
    return last;
}

void outcome_print(const struct outcome *outcome, unsigned ring) {
    if (outcome->vector == DONE) {
        print("ok ");
        return;
    }
    print("#%lu(%lx) ", outcome->vector, outcome->error);
    if (outcome->vector == VECTOR_PAGE_FAULT)
        print("cr2=%lx ", outcome->cr2);
    uint64_t offset = outcome->rip - place_of(ring)->code;
    if (offset >= FRAME_SIZE)
        print("rip=%lx ", outcome->rip);
    else if (offset)
        print("+%lu ", offset);
}
