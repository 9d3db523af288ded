/* Segment registers, descriptors and far transfers. */

#include "../../../Sources/Guests/Kernel/kernel.h"
#include "cases.h"
#include "descriptors_random.h"
#include "random.h"
#include "run.h"

static uint8_t *frame_of(uint64_t address) {
    return (uint8_t *)(*entry_for(current_root(), address, LEVEL_PT) & PAGE_ADDRESS) + (address & 0xfff);
}

static void put(uint64_t address, uint64_t value, unsigned bytes) {
    memcpy(frame_of(address), &value, bytes);
}

static void print_selector(uint16_t selector) {
    print("%x[%lx] ", selector, descriptor_of(selector) >> 40 & 0xf0fe);
}

static void print_accessed(uint16_t selector) {
    print("accessed=%lu ", descriptor_of(selector) >> 40 & 1);
}

void case_segment(void) {
    static const struct {
        const char *name;
        uint8_t code[4];
        unsigned length;
    } loads[] = {
        {"mov-es", {0x8e, 0xc0}, 2},
        {"mov-ss", {0x8e, 0xd0}, 2},
        {"mov-ds", {0x8e, 0xd8}, 2},
        {"mov-fs", {0x8e, 0xe0}, 2},
        {"mov-gs", {0x8e, 0xe8}, 2},
        {"pop-fs", {0x50, 0x0f, 0xa1}, 3},
        {"pop-gs", {0x50, 0x0f, 0xa9}, 3},
        {"lss", {0x0f, 0xb2, 0x0b}, 3},
        {"lfs", {0x0f, 0xb4, 0x0b}, 3},
        {"lgs-wide", {0x48, 0x0f, 0xb5, 0x0b}, 4},
    };
    descriptors_randomize();
    unsigned ring = random_once(2) ? 0 : RUN_RING3;
    unsigned which = (unsigned)random_below(sizeof loads / sizeof loads[0]);
    uint16_t selector = selector_random();
    struct registers registers = registers_of(ring);
    registers.rax = selector;
    registers.rbx = place_of(ring)->data + random_below(64);
    put(registers.rbx, 0x1122334455667788, 8);
    put(registers.rbx + (which == 9 ? 8 : 4), selector, 2);
    print("%s%s ", ring ? "user-" : "", loads[which].name);
    print_selector(selector);
    struct outcome outcome = run(ring, loads[which].code, loads[which].length, &registers);
    outcome_print(&outcome, ring);
    print("ds=%x es=%x fs=%x gs=%x ss=%lx rcx=%lx ", outcome.ds, outcome.es, outcome.fs, outcome.gs, outcome.ss, outcome.rcx);
    print_accessed(selector);
}

void case_rights(void) {
    static const struct {
        const char *name;
        uint8_t code[4];
        unsigned length;
    } queries[] = {
        {"lar", {0x0f, 0x02, 0xc1}, 3},       {"lar-wide", {0x48, 0x0f, 0x02, 0xc1}, 4}, {"lar-narrow", {0x66, 0x0f, 0x02, 0xc1}, 4},
        {"lsl", {0x0f, 0x03, 0xc1}, 3},       {"lsl-wide", {0x48, 0x0f, 0x03, 0xc1}, 4}, {"lsl-narrow", {0x66, 0x0f, 0x03, 0xc1}, 4},
        {"verr", {0x0f, 0x00, 0xe1}, 3},      {"verw", {0x0f, 0x00, 0xe9}, 3},
    };
    descriptors_randomize();
    unsigned ring = random_once(2) ? 0 : RUN_RING3;
    unsigned which = (unsigned)random_below(sizeof queries / sizeof queries[0]);
    uint16_t selector = selector_random();
    struct registers registers = registers_of(ring);
    registers.rax = 0xaaaaaaaabbbbbbbb;
    registers.rcx = selector;
    registers.rflags |= random_next() & 0x8d5;
    print("%s%s ", ring ? "user-" : "", queries[which].name);
    print_selector(selector);
    struct outcome outcome = run(ring, queries[which].code, queries[which].length, &registers);
    outcome_print(&outcome, ring);
    /* Of what LAR returns bits 16 to 19 are undefined. */
    print("rax=%lx flags=%lx ", which < 3 ? outcome.rax & ~0xf0000ul : outcome.rax, outcome.rflags & 0x8d5);
}

static uint64_t target(unsigned ring) {
    return random_once(12) ? random_noncanonical() : place_of(ring)->code + TARGET;
}

static void print_transfer(const struct outcome *outcome, unsigned ring) {
    outcome_print(outcome, ring);
    print("cs=%lx ss=%lx rflags=%lx ", outcome->cs, outcome->ss, outcome->rflags & ~0x10000ul);
    uint64_t offset = outcome->rsp - place_of(RUN_RING3)->stack;
    if (offset < FRAME_SIZE)
        print("user-rsp=%lx ", offset);
    else if (outcome->rsp - place_of(0)->stack < FRAME_SIZE)
        print("rsp=%lx ", outcome->rsp - place_of(0)->stack);
    else
        /* In compatibility mode the upper half is undefined. */
        print("other-rsp=%lx ", outcome->rsp & 0xffffffff);
    if (outcome->vector == DONE)
        print("rip=%lx ", outcome->rip);
}

void case_far(void) {
    static const struct {
        const char *name;
        uint8_t code[3];
        unsigned length, word;
    } transfers[] = {
        {"jmp", {0xff, 0x2b}, 2, 4},  {"jmp-wide", {0x48, 0xff, 0x2b}, 3, 8},  {"call", {0xff, 0x1b}, 2, 4},
        {"call-wide", {0x48, 0xff, 0x1b}, 3, 8}, {"ret", {0xcb}, 1, 4}, {"ret-wide", {0x48, 0xcb}, 2, 8},
    };
    descriptors_randomize();
    unsigned ring = random_once(2) ? 0 : RUN_RING3;
    unsigned which = (unsigned)random_below(sizeof transfers / sizeof transfers[0]);
    unsigned word = transfers[which].word;
    int isReturn = which >= 4;
    unsigned to = isReturn && random_once(2) ? RUN_RING3 : ring;
    uint16_t selector = selector_suiting(to, 1);
    struct registers registers = registers_of(ring);
    registers.rbx = place_of(ring)->data;
    uint64_t at = isReturn ? registers.rsp : registers.rbx, offset = target(to);
    put(at, offset, word);
    put(at + word, selector, isReturn ? word : 2);
    uint16_t stack = selector_suiting(to, 0);
    if (isReturn) {
        put(at + 2 * word, place_of(to)->stack + 0x900, word);
        put(at + 3 * word, stack, word);
    }
    print("%s%s ", ring ? "user-" : "", transfers[which].name);
    print_selector(selector);
    if (isReturn)
        print_selector(stack);
    print("%s: ", offset >> 47 ? "noncanonical " : "");
    struct outcome outcome = run(ring, transfers[which].code, transfers[which].length, &registers);
    print_transfer(&outcome, ring);
}

void case_return(void) {
    static const struct {
        const char *name;
        uint8_t code[2];
        unsigned length, word;
    } returns[] = {{"iretq", {0x48, 0xcf}, 2, 8}, {"iretd", {0xcf}, 1, 4}, {"iretw", {0x66, 0xcf}, 2, 2}};
    descriptors_randomize();
    unsigned ring = random_once(3) ? RUN_RING3 : 0;
    unsigned which = (unsigned)random_below(random_once(4) ? 3 : 2);
    unsigned word = returns[which].word, to = random_once(2) ? RUN_RING3 : ring;
    uint16_t code = selector_suiting(to, 1), stack = selector_suiting(to, 0);
    struct registers registers = registers_of(ring);
    /* NT; IOPL. */
    registers.rflags |= (random_once(12) ? 1ul << 14 : 0) | random_below(4) << 12;
    /* No single steps, no virtual-8086 mode, nothing pending for it. */
    uint64_t flags = random_next() & 0x246ed7;
    uint64_t offset = target(to), rsp = random_once(12) ? random_noncanonical() : place_of(to)->stack + 0x900;
    const uint64_t frame[] = {offset, code, flags, rsp, stack};
    for (unsigned index = 0; index < 5; index++)
        put(registers.rsp + index * word, frame[index], word);
    print("%s%s ", ring ? "user-" : "", returns[which].name);
    print_selector(code);
    print_selector(stack);
    print("%s%s%sflags=%lx: ", offset >> 47 ? "noncanonical " : "", rsp >> 47 ? "bad-rsp " : "", registers.rflags & 1 << 14 ? "nt " : "", flags);
    struct outcome outcome = run(ring, returns[which].code, returns[which].length, &registers);
    print_transfer(&outcome, ring);
    print("ds=%x es=%x ", outcome.ds, outcome.es);
}
