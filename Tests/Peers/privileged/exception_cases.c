/* What ring 3 may not do, gates that are not as they should be, and addresses that are none. */

#include "../../../Sources/Guests/Kernel/kernel.h"
#include "cases.h"
#include "descriptors_random.h"
#include "random.h"
#include "run.h"

struct code {
    const char *name;
    uint8_t bytes[8];
    unsigned length;
};

static struct outcome run_code(unsigned ring, const struct code *code, const struct registers *registers) {
    print("%s%s ", ring ? "user-" : "", code->name);
    return run(ring, code->bytes, code->length, registers);
}

void case_privileged(void) {
    static const struct code codes[] = {
        {"hlt", {0xf4}, 1},
        {"lgdt", {0x0f, 0x01, 0x13}, 3},
        {"lidt", {0x0f, 0x01, 0x1b}, 3},
        {"lldt", {0x0f, 0x00, 0xd0}, 3},
        {"ltr", {0x0f, 0x00, 0xd8}, 3},
        {"lmsw", {0x0f, 0x01, 0xf0}, 3},
        {"clts", {0x0f, 0x06}, 2},
        {"invd", {0x0f, 0x08}, 2},
        {"wbinvd", {0x0f, 0x09}, 2},
        {"invlpg", {0x0f, 0x01, 0x3b}, 3},
        {"swapgs", {0x0f, 0x01, 0xf8}, 3},
        {"read-cr0", {0x0f, 0x20, 0xc0}, 3},
        {"read-cr2", {0x0f, 0x20, 0xd0}, 3},
        {"read-cr8", {0x44, 0x0f, 0x20, 0xc0}, 4},
        {"read-dr7", {0x0f, 0x21, 0xf8}, 3},
        {"rdmsr", {0x0f, 0x32}, 2},
        {"wrmsr", {0x0f, 0x30}, 2},
        {"cli", {0xfa}, 1},
        {"sti", {0xfb}, 1},
        {"in", {0xe4, 0x80}, 2},
        {"out", {0xe6, 0x80}, 2},
        {"in-dx", {0xed}, 1},
        {"outs", {0x6e}, 1},
        {"smsw", {0x0f, 0x01, 0xe0}, 3},
        {"sldt", {0x0f, 0x00, 0xc0}, 3},
        {"str", {0x0f, 0x00, 0xc8}, 3},
        {"ud2", {0x0f, 0x0b}, 2},
        {"lock-nop", {0xf0, 0x90}, 2},
        {"into", {0xce}, 1},
        {"int3", {0xcc}, 1},
        {"div", {0x48, 0xf7, 0xf1}, 3},
        {"xsetbv", {0x0f, 0x01, 0xd1}, 3},
        {"lock-lgdt", {0xf0, 0x0f, 0x01, 0x13}, 4},
        {"lidt-register", {0x0f, 0x01, 0xdb}, 3},
    };
    struct registers registers = registers_of(RUN_RING3);
    registers.rflags |= random_below(4) << 12;
    registers.rbx = random_once(4) ? random_noncanonical() : random_once(4) ? 0x600000000000 : place_user.data;
    registers.rdx = 0x80;
    registers.rsi = place_user.data;
    print("iopl=%lu rbx=%lx ", (uint64_t)(registers.rflags >> 12 & 3), registers.rbx);
    struct outcome outcome = run_code(RUN_RING3, &codes[random_below(sizeof codes / sizeof codes[0])], &registers);
    outcome_print(&outcome, RUN_RING3);
    print("rflags=%lx ", outcome.rflags & ~0x10000ul);
}

extern const char interrupt_stubs[];

void case_gate(void) {
    static const struct code codes[] = {
        {"int", {0xcd, 0x40}, 2},
        {"ud2", {0x0f, 0x0b}, 2},
        {"div", {0x48, 0xf7, 0xf1}, 3},
        {"int3", {0xcc}, 1},
        {"noncanonical", {0x48, 0x8b, 0x03}, 3},
    };
    static const unsigned vectors[] = {0x40, 6, 0, 3, 13};
    enum { STUB_SIZE = 16 };
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) idt;
    asm volatile("sidt %0" : "=m"(idt));
    descriptors_randomize();
    unsigned ring = random_once(2) ? 0 : RUN_RING3, which = random_once(2) ? 0 : (unsigned)random_below(5);
    uint64_t *gate = (uint64_t *)(idt.base + 16 * vectors[which]);
    const uint64_t old[] = {gate[0], gate[1]};
    uint64_t type = random_once(3) ? random_below(16) : 14 + random_below(2);
    uint64_t privilege = random_once(2) ? 3 : random_below(4), present = !random_once(6), ist = random_below(2);
    uint16_t selector = selector_suiting(0, 1);
    /* To where the code that is through goes. */
    uint64_t offset = (uint64_t)interrupt_stubs + DONE * STUB_SIZE;
    gate[0] = (offset & 0xffff) | (uint64_t)selector << 16 | ist << 32 | type << 40 | privilege << 45 | present << 47 | (offset >> 16 & 0xffff) << 48;
    gate[1] = offset >> 32 | (random_once(12) ? 0xffff0000ul : 0);
    struct registers registers = registers_of(ring);
    registers.rbx = 0x800000000000;
    registers.rflags |= random_below(4) << 12;
    print("type=%lu dpl=%lu p=%lu ist=%lu high=%lx %x[%lx] ", type, privilege, present, ist, gate[1], selector, descriptor_of(selector) >> 40 & 0xf0fe);
    struct outcome outcome = run_code(ring, &codes[which], &registers);
    gate[0] = old[0];
    gate[1] = old[1];
    outcome_print(&outcome, ring);
    print("cs=%lx ss=%lx ", outcome.cs, outcome.ss);
}

void case_canonical(void) {
    static const struct code codes[] = {
        {"read", {0x48, 0x8b, 0x03}, 3},
        {"write", {0x88, 0x03}, 2},
        {"read-rbp", {0x48, 0x8b, 0x45, 0x00}, 4},
        {"read-rsp", {0x48, 0x89, 0xdc, 0x8a, 0x04, 0x24}, 6},
        {"push", {0x48, 0x89, 0xdc, 0x50}, 4},
        {"pop", {0x48, 0x89, 0xdc, 0x58}, 4},
        {"jmp", {0xff, 0xe3}, 2},
        {"call", {0xff, 0xd3}, 2},
        {"ret", {0x53, 0xc3}, 2},
        {"invlpg", {0x0f, 0x01, 0x3b}, 3},
        {"prefetch", {0x0f, 0x18, 0x0b}, 3},
        {"clflush", {0x0f, 0xae, 0x3b}, 3},
        {"lgdt", {0x0f, 0x01, 0x13}, 3},
        {"fxsave", {0x0f, 0xae, 0x03}, 3},
        {"ss-read", {0x36, 0x8b, 0x03}, 3},
        {"gs-read", {0x65, 0x8b, 0x03}, 3},
        {"movs", {0x48, 0x89, 0xde, 0xa4}, 4},
    };
    unsigned ring = random_once(2) ? 0 : RUN_RING3;
    struct registers registers = registers_of(ring);
    static const uint64_t edges[] = {0x7ffffffffff9, 0x7fffffffffff, 0x800000000000, 0xffff7fffffffffff, 0xffff7ffffffffffc, 0x8000000000000000};
    registers.rbx = random_once(2) ? edges[random_below(6)] : random_noncanonical();
    registers.rbp = registers.rbx;
    registers.rdi = place_of(ring)->data;
    print("%lx ", registers.rbx);
    struct outcome outcome = run_code(ring, &codes[random_below(sizeof codes / sizeof codes[0])], &registers);
    outcome_print(&outcome, ring);
}

void case_alignment(void) {
    static const struct code codes[] = {
        {"read2", {0x66, 0x8b, 0x03}, 3},  {"read4", {0x8b, 0x03}, 2}, {"read8", {0x48, 0x8b, 0x03}, 3}, {"write4", {0x89, 0x03}, 2},
        {"push", {0x48, 0x89, 0xdc, 0x50}, 4}, {"read1", {0x8a, 0x03}, 2}, {"movs", {0x48, 0x89, 0xde, 0x48, 0xa5}, 5},
    };
    enum { CR0_AM = 1 << 18 };
    unsigned ring = random_once(4) ? 0 : RUN_RING3;
    uint64_t old = read_cr0();
    int isOn = !random_once(3);
    write_cr0(isOn ? old | CR0_AM : old & ~(uint64_t)CR0_AM);
    struct registers registers = registers_of(ring);
    registers.rbx = place_of(ring)->data + 64 + random_below(16);
    registers.rdi = place_of(ring)->data;
    registers.rflags |= random_once(3) ? 0 : FLAG_ALIGNMENT;
    print("%s%s%lu ", isOn ? "am " : "", registers.rflags & FLAG_ALIGNMENT ? "ac " : "", registers.rbx & 15);
    struct outcome outcome = run_code(ring, &codes[random_below(sizeof codes / sizeof codes[0])], &registers);
    write_cr0(old);
    outcome_print(&outcome, ring);
}
