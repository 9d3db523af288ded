/* R/W and U/S are the AND, XD is the OR of their bits at all levels of the walk (SDM vol. 3, 4.6.1); reserved bits fault at each. */

#include "chapters.h"
#include "check.h"
#include "page.h"

static const char *const level_names[] = {[LEVEL_PT] = "PTE", [LEVEL_PD] = "PDE", [LEVEL_PDPT] = "PDPTE", [LEVEL_PML4] = "PML4E"};

/* An address with tables of its own at every level, and a page that holds RET. */
static uint64_t path_create(void) {
    uint64_t address = address_reserve(1ull << 39) + 0x40201000;
    map_page(current_root(), address, frame_with(0xc3), PAGE_WRITABLE | PAGE_USER);
    return address;
}

static void print_level(enum level level, const char *what) {
    print("%s in the %s: ", what, level_names[level]);
}

void tour_levels(void) {
    chapter("all levels together");
    bool has_nx = feature_or_skip(FEATURE_NX);
    for (enum level level = LEVEL_PML4; level >= LEVEL_PT; level--) {
        uint64_t address = path_create();
        *entry_for(current_root(), address, level) &= ~PAGE_WRITABLE;
        print_level(level, "R/W=0");
        check_no_fault("read", attempt_read(address));
        print_level(level, "R/W=0");
        check_page_fault("write", attempt_write(address, 1), FAULT_PRESENT | FAULT_WRITE, address);

        address = path_create();
        *entry_for(current_root(), address, level) &= ~PAGE_USER;
        print_level(level, "U/S=0");
        check_no_fault("supervisor write", attempt_write(address, 1));
        print_level(level, "U/S=0");
        check_page_fault("user read", attempt_user_read(address), FAULT_PRESENT | FAULT_USER, address);

        if (!has_nx)
            continue;
        address = path_create();
        *entry_for(current_root(), address, level) |= PAGE_NO_EXECUTE;
        print_level(level, "XD=1");
        check_page_fault("fetch", attempt_call(address), FAULT_PRESENT | FAULT_FETCH, address);
    }
}

static void reserved(const char *name, enum level level, uint64_t bits) {
    uint64_t address = path_create();
    *entry_for(current_root(), address, level) |= bits;
    check_page_fault(name, attempt_read(address), FAULT_PRESENT | FAULT_RESERVED, address);
}

void tour_reserved_bits(void) {
    chapter("reserved bits");
    reserved("bit 7 of a PML4E", LEVEL_PML4, PAGE_LARGE);
    reserved("bit 13 of a PDE for a 2 MiB page", LEVEL_PD, PAGE_LARGE | 1 << 13);
    if (!processor_has(FEATURE_GIGABYTE_PAGES))
        reserved("bit 7 of a PDPTE without 1 GiB pages", LEVEL_PDPT, PAGE_LARGE);
    else
        reserved("bit 13 of a PDPTE for a 1 GiB page", LEVEL_PDPT, PAGE_LARGE | 1 << 13);
    unsigned width = physical_address_bits();
    for (enum level level = LEVEL_PML4; level >= LEVEL_PT && width < 52; level--) {
        print_level(level, "an address bit beyond MAXPHYADDR");
        reserved("read", level, 1ull << width);
    }

    struct page page = page_create(PAGE_WRITABLE);
    *page.entry |= 1ull << 51;
    if (width < 52)
        check_page_fault("write with a reserved bit", attempt_write(page.address, 1), FAULT_PRESENT | FAULT_WRITE | FAULT_RESERVED, page.address);
    *page.entry &= ~PAGE_PRESENT;
    check_page_fault("an absent entry reserves nothing", attempt_write(page.address, 1), FAULT_WRITE, page.address);

    if (!feature_or_skip(FEATURE_NX))
        return;
    page = page_create(PAGE_WRITABLE | PAGE_NO_EXECUTE);
    write_msr(MSR_EFER, read_msr(MSR_EFER) & ~(uint64_t)EFER_NXE);
    invalidate_page(page.address);
    check_page_fault("bit 63 with EFER.NXE=0", attempt_read(page.address), FAULT_PRESENT | FAULT_RESERVED, page.address);
    write_msr(MSR_EFER, read_msr(MSR_EFER) | EFER_NXE);
    invalidate_page(page.address);
    check_no_fault("bit 63 with EFER.NXE=1", attempt_read(page.address));
}
