/* Control, debug and model-specific registers, flags, and system calls. */

#include "../../../Sources/Guests/Kernel/kernel.h"
#include "cases.h"
#include "random.h"
#include "run.h"

static unsigned any_ring(uint64_t times) {
    return random_once(times) ? RUN_RING3 : 0;
}

static void print_ring(unsigned ring, const char *name) {
    print("%s%s ", ring ? "user-" : "", name);
}

/* Some of the bits. */
static uint64_t some_of(const uint8_t *bits, unsigned count) {
    uint64_t value = 0;
    for (unsigned n = 1 + (unsigned)random_below(3); n; n--)
        value |= 1ul << bits[random_below(count)];
    return value;
}

void case_flags(void) {
    static const struct {
        const char *name;
        uint8_t code[6];
        unsigned length;
    } writes[] = {
        {"popf", {0x50, 0x9d, 0x9c, 0x5a}, 4},
        {"popf-narrow", {0x66, 0x50, 0x66, 0x9d, 0x9c, 0x5a}, 6},
        {"sti", {0xfb, 0x90, 0x9c, 0x5a}, 4},
        {"cli", {0xfa, 0x9c, 0x5a}, 3},
    };
    unsigned ring = any_ring(2), which = (unsigned)random_below(random_once(2) ? 4 : 2);
    struct registers registers = registers_of(ring);
    registers.rflags |= random_below(4) << 12 | (random_next() & 0x244ad5);
    /* No single steps, no virtual-8086 mode. */
    registers.rax = random_next() & ~0x20100ul & (random_once(4) ? ~0ul : 0x3fffff);
    print_ring(ring, writes[which].name);
    print("flags=%lx rax=%lx: ", registers.rflags, registers.rax);
    struct outcome outcome = run(ring, writes[which].code, writes[which].length, &registers);
    outcome_print(&outcome, ring);
    print("rflags=%lx pushed=%lx ", outcome.rflags & ~0x10000ul, outcome.vector == DONE ? outcome.rdx : 0);
}

void case_control(void) {
    /* What all have, what none has. VME and PVI are not everybody's; without PE, PG or PAE, with another LA57 or bits of CR3
       and CR4 that do not exist QEMU is lost, because it takes them. */
    static const uint8_t cr0[] = {1, 2, 3, 5, 16, 18, 29, 30, 6, 17, 28, 32, 63};
    static const uint8_t cr4[] = {2, 3, 4, 6, 7, 8, 9, 10, 16, 20, 21};
    unsigned ring = any_ring(8);
    unsigned number = (unsigned[]){0, 0, 0, 4, 4, 4, 4, 3, 8, 1, 5, 9}[random_below(12)];
    uint64_t old0 = read_cr0(), old3 = read_cr3(), old4 = read_cr4();
    struct registers registers = registers_of(ring);
    switch (number) {
    case 0: registers.rax = old0 ^ some_of(cr0, sizeof cr0); break;
    case 3: registers.rax = old3 | (random_next() & 0x18); break;
    case 4: registers.rax = old4 ^ some_of(cr4, sizeof cr4); break;
    case 8: registers.rax = random_once(3) ? random_next() : random_below(20); break;
    default: registers.rax = 0; break;
    }
    uint8_t rex = number > 7 ? 0x44 : 0x40, modrm = (uint8_t)(0xc0 | (number & 7) << 3);
    /* mov %rax, %crN; mov %crN, %rdx */
    const uint8_t code[] = {rex, 0x0f, 0x22, modrm, rex, 0x0f, 0x20, (uint8_t)(modrm | 2)};
    print_ring(ring, "cr");
    print("%u=%lx: ", number, registers.rax);
    struct outcome outcome = run(ring, code, sizeof code, &registers);
    write_cr0(old0);
    write_cr4(old4);
    write_cr3(old3);
    asm volatile("movq %0, %%cr8" : : "r"(0ul));
    outcome_print(&outcome, ring);
    if (outcome.vector == DONE)
        print("is %lx ", outcome.rdx);
}

void case_debug(void) {
    unsigned ring = any_ring(8), number = (unsigned)random_below(8);
    uint64_t old4 = read_cr4();
    struct registers registers = registers_of(ring);
    switch (number) {
    case 4: case 6: registers.rax = random_next() & 0xefff; break;
    /* No breakpoints, no general detection. */
    case 5: case 7: registers.rax = random_next() & 0xffffd400; break;
    default: registers.rax = random_next() >> 17; break;
    }
    if (number > 3 && random_once(5))
        registers.rax |= 1ul << (32 + random_below(32));
    int isExtended = random_once(3);
    write_cr4(isExtended ? old4 | 1 << 3 : old4 & ~(1ul << 3));
    uint8_t modrm = (uint8_t)(0xc0 | number << 3);
    const uint8_t code[] = {0x0f, 0x23, modrm, 0x0f, 0x21, (uint8_t)(modrm | 2)};
    print_ring(ring, "dr");
    print("%u%s=%lx: ", number, isExtended ? "-de" : "", registers.rax);
    struct outcome outcome = run(ring, code, sizeof code, &registers);
    write_cr4(old4);
    asm volatile("movq %0, %%dr7; movq %1, %%dr6" : : "r"(0x400ul), "r"(0xffff0ff0ul));
    outcome_print(&outcome, ring);
    if (outcome.vector == DONE)
        print("is %lx ", outcome.rdx);
}

void case_register(void) {
    static const uint32_t indices[] = {0xc0000080, 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000100,
                                       0xc0000101, 0xc0000102, 0x174,      0x175,      0x176,      0x277};
    static const uint8_t efer[] = {0, 8, 11, 1, 9, 32, 63};
    unsigned ring = any_ring(8);
    uint32_t index = indices[random_below(sizeof indices / sizeof indices[0])];
    uint64_t old = read_msr((enum msr)index), value = random_next();
    if (index == 0xc0000080)
        value = old ^ some_of(efer, sizeof efer);
    else if (index == 0x277)
        /* Memory types, a bad one now and then. */
        value = random_once(3) ? 0x0007040600070406ul | 1ul << random_below(64) : 0x0007010600070406ul;
    else if (index == 0x174 || index == 0xc0000084)
        /* What is above is reserved. */
        value &= index == 0x174 ? 0xffff : 0xffffffff;
    else if (random_once(2))
        value = (uint64_t)((int64_t)value << 16 >> 16);
    struct registers registers = registers_of(ring);
    registers.rcx = index;
    registers.rax = value & 0xffffffff;
    registers.rdx = value >> 32;
    static const uint8_t code[] = {0x0f, 0x30, 0x31, 0xc0, 0x31, 0xd2, 0x0f, 0x32};
    print_ring(ring, "msr");
    print("%x=%lx: ", index, value);
    struct outcome outcome = run(ring, code, sizeof code, &registers);
    write_msr((enum msr)index, old);
    outcome_print(&outcome, ring);
    if (outcome.vector == DONE)
        print("is %lx ", (outcome.rdx << 32) | (outcome.rax & 0xffffffff));
}

extern const char run_system_call[];

void case_system_call(void) {
    uint64_t efer = read_msr(MSR_EFER);
    int isOn = !random_once(8);
    write_msr(MSR_EFER, isOn ? efer | EFER_SCE : efer & ~(uint64_t)EFER_SCE);
    uint64_t mask = random_next() & 0x3f7fd7;
    write_msr(MSR_STAR, (uint64_t)KERNEL_CODE << 32 | (uint64_t)USER_CODE32 << 48);
    write_msr(MSR_LSTAR, (uint64_t)run_system_call);
    /* Single steps are always masked. */
    write_msr(MSR_FMASK, mask | 0x100);
    unsigned kind = (unsigned)random_below(3);
    unsigned ring = kind == 0 || random_once(10) ? RUN_RING3 : 0;
    struct registers registers = registers_of(ring);
    registers.rflags |= random_next() & 0x246cd5;
    registers.rcx = place_user.code + TARGET;
    static const struct {
        const char *name;
        /* mov %rax, %r11 before SYSRET. */
        uint8_t code[6];
        unsigned length;
    } calls[] = {
        {"syscall", {0x0f, 0x05}, 2},
        {"sysret", {0x49, 0x89, 0xc3, 0x0f, 0x07}, 5},
        {"sysret-wide", {0x49, 0x89, 0xc3, 0x48, 0x0f, 0x07}, 6},
    };
    /* No single steps, nothing virtual. */
    registers.rax = random_next() & ~0x1b0100ul;
    print_ring(ring, calls[kind].name);
    print("%sflags=%lx mask=%lx rax=%lx: ", isOn ? "" : "off ", registers.rflags, mask, registers.rax);
    struct outcome outcome = run(ring, calls[kind].code, calls[kind].length, &registers);
    write_msr(MSR_EFER, efer);
    outcome_print(&outcome, ring);
    print("cs=%lx ss=%lx rflags=%lx rcx=%lx rip=%lx ", outcome.cs, outcome.ss, outcome.rflags & ~0x10000ul, outcome.rcx, outcome.rip);
}
