/* Walks and little else: places in turn, one to a page, so that TLBs with fewer entries than there are places never have the next
   one. How many references a walk takes is in the statistics (`walks.byReferences`) and in `--report hits`.

   Marks: 1 opens the touches, 2 closes them.

   Parameters: page=4K|2M|1G (of 1G there is one page, which TLBs without entries of that size hold in pieces) places=48 steps=4000
   levels=4|5 (of page tables, the latter where the processor has them) written=N (all the while entries in the table of level N,
   from that of the pages' entries to 4, are written as they are, as a hypervisor that watches tables sees; 0: none are) */

#include "five_levels.h"
#include "kernel.h"

#define BASE (1ull << 39)

enum { BATCH = 400, MOST_PLACES = 384 };

struct walks {
    uint64_t base, stride, places, written;
    entry *root; /* the PML4, below a PML5 if there is one */
};

/* Returns what to add to an address of the page of 1 GiB, 0 for others. */
static uint64_t map(const struct walks *walks, uint64_t page) {
    uint64_t frames = frames_allocate(walks->places * walks->stride / FRAME_SIZE, PAGE_2M);
    if (page == PAGE_1G) {
        *entry_for(walks->root, BASE, LEVEL_PDPT) = PAGE_PRESENT | PAGE_WRITABLE | PAGE_LARGE;
        return frames;
    }
    for (uint64_t offset = 0; offset < walks->places * walks->stride; offset += page)
        if (page == PAGE_2M)
            *entry_for(walks->root, BASE + offset, LEVEL_PD) = (frames + offset) | PAGE_PRESENT | PAGE_WRITABLE | PAGE_LARGE;
        else
            map_page(walks->root, BASE + offset, frames + offset, PAGE_WRITABLE);
    return 0;
}

static void rewrite(const struct walks *walks) {
    for (uint64_t place = 0; place < walks->places; place++) {
        volatile entry *written = entry_for(walks->root, walks->base + place * walks->stride, (enum level)walks->written);
        *written = *written;
    }
}

static uint64_t touch(const struct walks *walks, uint64_t steps) {
    uint64_t sum = 0, place = 0;
    for (uint64_t step = 0; step < steps; step++) {
        if (walks->written && step % BATCH == 0)
            rewrite(walks);
        sum += *(volatile uint64_t *)(walks->base + place * walks->stride);
        place = place + 1 == walks->places ? 0 : place + 1;
    }
    return sum;
}

void kernel_main(const char *parameters) {
    static const char *const names[] = {"page", "places", "steps", "levels", "written", 0};
    static const char *const page_names[] = {"4K", "2M", "1G", 0};
    static const uint64_t page_sizes[] = {PAGE_4K, PAGE_2M, PAGE_1G};
    parameters_expect(parameters, names);
    unsigned choice = parameter_choice(parameters, "page", page_names);
    uint64_t page = page_sizes[choice], levels = parameter_number(parameters, "levels", 4);
    struct walks walks = {
        .base = BASE,
        .stride = page == PAGE_4K ? PAGE_4K : PAGE_2M,
        .places = parameter_number(parameters, "places", 48),
        .written = parameter_number(parameters, "written", 0),
    };
    uint64_t steps = parameter_number(parameters, "steps", 4000);
    if (walks.places < 1 || walks.places > MOST_PLACES || walks.written > LEVEL_PML4 || (walks.written && walks.written <= choice)) {
        print("places must be from 1 to %d, and written 0, or from the level of the pages' entries to %d\n", MOST_PLACES, LEVEL_PML4);
        exit_guest(EXIT_FAILURE);
    }
    if (page == PAGE_1G && !processor_has(FEATURE_GIGABYTE_PAGES)) {
        print("the processor has no pages of 1 GiB\n");
        exit_guest(EXIT_FAILURE);
    }
    if (levels != 4 && (levels != 5 || !five_levels_supported())) {
        print("there are 4 levels of page tables, or 5 where the processor has them\n");
        exit_guest(EXIT_FAILURE);
    }
    if (levels == 5)
        five_levels_begin();
    walks.root = levels == 5 ? table_of(current_root()[0]) : current_root();
    walks.base += map(&walks, page);
    for (uint64_t place = 0; place < walks.places; place++)
        *(uint64_t *)(walks.base + place * walks.stride) = place;
    MARK(1);
    uint64_t sum = touch(&walks, steps);
    MARK(2);
    print("%lu touches of %lu places in %s pages: sum %lu\n", steps, walks.places, page_names[choice], sum);
}
