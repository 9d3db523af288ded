/* Address spaces, without and with process-context identifiers. */

#include "chapters.h"
#include "check.h"
#include "page.h"

#define ADDRESS (3ull << 39) /* mapped in the two address spaces of this file only */

struct space {
    entry *root;
    entry *entry;
};

static struct space space_create(uint64_t value) {
    struct space space = {.root = root_create()};
    map_page(space.root, ADDRESS, frame_with(value), PAGE_WRITABLE);
    space.entry = entry_for(space.root, ADDRESS, LEVEL_PT);
    return space;
}

static void remap(struct space space, uint64_t value) {
    *(volatile entry *)space.entry = frame_with(value) | PAGE_PRESENT | PAGE_WRITABLE;
}

static void untagged(uint64_t home) {
    struct space a = space_create(1), b = space_create(2);
    write_cr3((uint64_t)a.root);
    check_equal("the first address space", 1, load(ADDRESS));
    write_cr3((uint64_t)b.root);
    check_equal("the second one, same address", 2, load(ADDRESS));
    store(ADDRESS, 3);
    remap(a, 4);
    write_cr3((uint64_t)a.root);
    check_equal("the first one, remapped meanwhile", 4, load(ADDRESS));
    write_cr3((uint64_t)b.root);
    check_equal("the second one, as it was left", 3, load(ADDRESS));
    write_cr3(home);
}

static void tagged(uint64_t home) {
    if (!feature_or_skip(FEATURE_PCID))
        return;
    struct space a = space_create(1), b = space_create(2);
    uint64_t cr3_a = (uint64_t)a.root | 1, cr3_b = (uint64_t)b.root | 2;
    write_cr4(read_cr4() | CR4_PCIDE);
    write_cr3(cr3_a);
    check_equal("PCID 1", 1, load(ADDRESS));
    write_cr3(cr3_b);
    check_equal("PCID 2, same address", 2, load(ADDRESS));
    write_cr3(cr3_a | CR3_NO_FLUSH);
    check_equal("PCID 1 again, without a flush", 1, load(ADDRESS));
    check_equal("CR3 reads without bit 63", cr3_a, read_cr3());
    write_cr3(cr3_b | CR3_NO_FLUSH);
    check_equal("PCID 2 again, without a flush", 2, load(ADDRESS));

    remap(b, 3);
    write_cr3(cr3_b);
    check_equal("PCID 2 remapped, then MOV to CR3 with bit 63 clear", 3, load(ADDRESS));
    remap(b, 4);
    invalidate_page(ADDRESS);
    check_equal("PCID 2 remapped, then INVLPG", 4, load(ADDRESS));
    write_cr3(cr3_a | CR3_NO_FLUSH);
    check_equal("PCID 1 is as it was", 1, load(ADDRESS));

    if (feature_or_skip(FEATURE_INVPCID)) {
        remap(b, 5);
        invalidate_pcid(INVPCID_ADDRESS, 2, ADDRESS);
        write_cr3(cr3_b | CR3_NO_FLUSH);
        check_equal("PCID 2 remapped from PCID 1, then INVPCID of the address", 5, load(ADDRESS));
        remap(a, 6);
        invalidate_pcid(INVPCID_CONTEXT, 1, 0);
        write_cr3(cr3_a | CR3_NO_FLUSH);
        check_equal("PCID 1 remapped from PCID 2, then INVPCID of the context", 6, load(ADDRESS));
        remap(a, 7);
        invalidate_pcid(INVPCID_ALL_BUT_GLOBAL, 0, 0);
        check_equal("remapped, then INVPCID of all but global pages", 7, load(ADDRESS));
        *a.entry |= PAGE_GLOBAL;
        invalidate_page(ADDRESS);
        load(ADDRESS);
        remap(a, 8);
        invalidate_pcid(INVPCID_ALL, 0, 0);
        check_equal("a global page remapped, then INVPCID of all", 8, load(ADDRESS));
    }
    /* PCIDE can only be cleared, and set again, in PCID 0. */
    write_cr3(home);
    write_cr4(read_cr4() & ~(uint64_t)CR4_PCIDE);
    write_cr3((uint64_t)a.root);
    check_equal("without PCID again", processor_has(FEATURE_INVPCID) ? 8 : 1, load(ADDRESS));
    write_cr3(home);
}

void tour_contexts(void) {
    chapter("address spaces");
    uint64_t home = read_cr3();
    untagged(home);
    tagged(home);
}
