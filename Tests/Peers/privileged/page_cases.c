/* Page tables at random, and accesses through them. */

#include "../../../Sources/Guests/Kernel/kernel.h"
#include "cases.h"
#include "random.h"
#include "run.h"

enum { CR4_FSGSBASE = 1 << 16, LEVELS = 4 };

/* An address that has tables of its own, down to the frame. */
#define REGION (2ul << 39 | 5ul << 30)

static uint64_t tables[LEVELS], frame, address;

/* The entry of a level, counted from the top. */
static entry *entry_at(unsigned level) {
    uint64_t table = level == 0 ? (uint64_t)current_root() : tables[level];
    return (entry *)table + table_index(address, LEVEL_PML4 - level);
}

static entry at_random(unsigned level, int *isReserved, int isNX) {
    entry e = 0;
    int isLarge = (level == 1 && random_once(8)) || (level == 2 && random_once(5));
    int isLeaf = isLarge || level == 3;
    e |= random_once(14) ? 0 : PAGE_PRESENT;
    e |= random_once(4) ? 0 : PAGE_WRITABLE;
    e |= random_once(4) ? 0 : PAGE_USER;
    e |= random_once(8) ? PAGE_NO_EXECUTE : 0;
    e |= isLarge ? PAGE_LARGE : 0;
    e |= isLeaf && random_once(4) ? PAGE_GLOBAL : 0;
    /* What the processor ignores. */
    e |= random_next() & (7ul << 9 | 0x7ful << 52);
    uint64_t size = level == 1 ? PAGE_1G : level == 2 ? PAGE_2M : PAGE_4K;
    e |= isLeaf ? frame & ~(size - 1) & PAGE_ADDRESS : tables[level + 1];
    if (random_once(16)) {
        e |= level == 0 && random_once(2) ? PAGE_LARGE : isLarge && random_once(2) ? 1ul << (13 + random_below(level == 1 ? 17 : 8)) : 1ul << 51;
        *isReserved = 1;
    }
    if (e & PAGE_NO_EXECUTE && !isNX)
        *isReserved = 1;
    return e;
}

static const struct {
    const char *name;
    uint8_t code[4];
    unsigned length;
} accesses[] = {
    {"read", {0x48, 0x8b, 0x01}, 3},         /* mov (%rcx), %rax */
    {"write", {0x48, 0x89, 0x01}, 3},        /* mov %rax, (%rcx) */
    {"fetch", {0xff, 0xe1}, 2},              /* jmp *%rcx */
    {"locked", {0xf0, 0x48, 0x01, 0x01}, 4}, /* lock add %rax, (%rcx) */
    {"modify", {0x48, 0x29, 0x01}, 3},       /* sub %rax, (%rcx) */
};

static void access(void) {
    unsigned ring = random_once(2) ? 0 : RUN_RING3;
    unsigned which = (unsigned)random_below(sizeof accesses / sizeof accesses[0]);
    /* What a fetch finds; writes go there, too. */
    static const uint8_t done[] = {0xcd, DONE};
    memcpy((void *)frame, done, sizeof done);
    struct registers registers = registers_of(ring);
    registers.rcx = address;
    registers.rflags |= random_once(2) ? FLAG_ALIGNMENT : 0;
    print("%s%s%s ", ring ? "user-" : "", accesses[which].name, registers.rflags & FLAG_ALIGNMENT ? "-ac" : "");
    struct outcome outcome = run(ring, accesses[which].code, accesses[which].length, &registers);
    outcome_print(&outcome, ring);
    /* Where the walk has ended in a fault, A may be set in entries above or not. */
    if (outcome.vector != DONE)
        return;
    for (unsigned level = 0; level < LEVELS; level++) {
        entry e = *entry_at(level);
        print("%c", e & PAGE_DIRTY ? 'd' : e & PAGE_ACCESSED ? 'a' : '-');
        if (level > 0 && e & PAGE_LARGE)
            break;
    }
    print(" ");
}

void case_page(void) {
    if (!frame) {
        frame = frame_allocate();
        for (unsigned level = 1; level < LEVELS; level++)
            tables[level] = frame_allocate();
        address = REGION | (frame & (PAGE_1G - 1));
    }
    uint64_t cr0 = read_cr0(), cr4 = read_cr4(), efer = read_msr(MSR_EFER);
    int isNX = !random_once(8), isReserved = 0;
    entry entries[LEVELS];
    for (unsigned level = 0; level < LEVELS; level++)
        *entry_at(level) = entries[level] = at_random(level, &isReserved, isNX);
    uint64_t guards = (random_once(3) ? CR4_SMEP : 0) | (random_once(3) ? CR4_SMAP : 0) | (random_once(2) ? CR4_PGE : 0);
    int isProtecting = !random_once(3);
    write_msr(MSR_EFER, isNX ? efer | EFER_NXE : efer & ~(uint64_t)EFER_NXE);
    write_cr4((cr4 & ~(uint64_t)(CR4_SMEP | CR4_SMAP | CR4_PGE)) | guards);
    write_cr0(isProtecting ? cr0 | CR0_WP : cr0 & ~(uint64_t)CR0_WP);
    invalidate_page(address);
    print("%s%s%s%s%s", isReserved ? "reserved " : "", isNX ? "" : "no-nx ", isProtecting ? "" : "no-wp ", guards & CR4_SMEP ? "smep " : "",
          guards & CR4_SMAP ? "smap " : "");
    for (unsigned level = 0; level < LEVELS; level++) {
        entry e = entries[level];
        print("%c%c%c%c%c ", e & PAGE_PRESENT ? 'p' : '-', e & PAGE_WRITABLE ? 'w' : '-', e & PAGE_USER ? 'u' : '-',
              e & PAGE_NO_EXECUTE ? 'n' : '-', e & PAGE_LARGE ? 'l' : '-');
    }
    print(": ");
    access();
    /* Something else in one entry, invalidated as the manual asks. */
    unsigned level = (unsigned)random_below(LEVELS);
    int another = 0;
    entry changed = at_random(level, &another, 1) & ~PAGE_NO_EXECUTE;
    if (!another) {
        /* What is below stays as large as it is. */
        *entry_at(level) = (*entry_at(level) & ~(uint64_t)(PAGE_WRITABLE | PAGE_USER)) | (changed & (PAGE_WRITABLE | PAGE_USER));
        if (random_once(2))
            reload_cr3();
        invalidate_page(address);
    }
    access();
    write_cr0(cr0);
    write_cr4(cr4);
    write_msr(MSR_EFER, efer);
    *entry_at(0) = 0;
    reload_cr3();
}
