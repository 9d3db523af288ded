/* The price of a changed mapping, as processors grow. One processor changes page-table entries, and waits until every other
   has dropped what its TLBs hold of them (a TLB shootdown); the others go on touching the pages. With
   `penumbra run shootdown --cpus 4`.

   Marks: 1 the changes, on the processor that makes them, 2 what the others do meanwhile.

   Parameters: changes=100 pages=1 (entries changed at a time) others=8 (pages that the others keep touching) */

#include "apic.h"
#include "kernel.h"
#include "smp.h"

enum { VECTOR_SHOOTDOWN = 0x43, MOST_PAGES = 512 };

/* 512 GiB: a part of the linear space that nothing else uses. */
#define WINDOW (1ull << 39)

static uint64_t changes, pages, others;
static uint64_t frames[2 * MOST_PAGES];
static unsigned acknowledged, wrong;
static volatile uint64_t generation;

static void drop(void) {
    for (uint64_t page = 0; page < pages; page++)
        invalidate_page(WINDOW + page * PAGE_4K);
}

static void shot(struct frame *frame) {
    (void)frame;
    drop();
    __atomic_add_fetch(&acknowledged, 1, __ATOMIC_SEQ_CST);
    apic_acknowledge();
}

/* Each page has two frames, of which one is mapped. The other gets the change's number before it takes the place. */
static void change(uint64_t number) {
    for (uint64_t page = 0; page < pages; page++) {
        uint64_t frame = frames[number % 2 * pages + page];
        *(volatile uint64_t *)frame = number;
        *entry_for(current_root(), WINDOW + page * PAGE_4K, LEVEL_PT) = frame | PAGE_PRESENT | PAGE_WRITABLE;
    }
    drop();
    __atomic_store_n(&acknowledged, 1, __ATOMIC_SEQ_CST);
    if (processor_count > 1)
        apic_send_others(VECTOR_SHOOTDOWN);
    while (__atomic_load_n(&acknowledged, __ATOMIC_SEQ_CST) < processor_count)
        relax();
    generation = number;
}

/* A change that everybody has acknowledged may not be missed. */
static void look(uint64_t page, uint64_t seen) {
    if (*(volatile uint64_t *)(WINDOW + page * PAGE_4K) < seen)
        __atomic_add_fetch(&wrong, 1, __ATOMIC_SEQ_CST);
}

static void work(unsigned processor) {
    if (processor == 0)
        print("processors: %u\n", processor_count);
    barrier();
    if (processor == 0) {
        mark(1);
        for (uint64_t number = 1; number <= changes; number++) {
            change(number);
            for (uint64_t page = 0; page < pages; page++)
                look(page, number);
        }
        mark(0);
    } else {
        mark(2);
        while (generation < changes) {
            uint64_t seen = generation;
            for (uint64_t page = 0; page < others; page++)
                look(page % pages, seen);
        }
        mark(0);
    }
}

void kernel_main(const char *parameters) {
    static const char *const names[] = {"changes", "pages", "others", 0};
    parameters_expect(parameters, names);
    changes = parameter_number(parameters, "changes", 100);
    pages = parameter_number(parameters, "pages", 1);
    others = parameter_number(parameters, "others", 8);
    if (changes < 1 || pages < 1 || pages > MOST_PAGES || others > MOST_PAGES) {
        print("needs at least one change, and from 1 to %d pages\n", MOST_PAGES);
        exit_guest(EXIT_FAILURE);
    }
    handlers[VECTOR_SHOOTDOWN] = shot;
    for (uint64_t index = 0; index < 2 * pages; index++)
        frames[index] = frame_allocate();
    for (uint64_t page = 0; page < pages; page++)
        map_page(current_root(), WINDOW + page * PAGE_4K, frames[page], PAGE_WRITABLE);
    processors_run(work);
    print("%lu changes of %lu entries, %u reads of an old page\n", changes, pages, wrong);
    if (wrong != 0)
        exit_guest(EXIT_FAILURE);
}
