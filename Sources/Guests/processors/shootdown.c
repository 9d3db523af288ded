/* Changed mappings: one processor changes an entry, the others drop what their TLBs hold of it (a TLB shootdown). */

#include "processors.h"

#include "apic.h"
#include "kernel.h"

enum { VECTOR_SHOOTDOWN = 0x43, FRAMES = 4 };

/* 512 GiB: a part of the linear space that nothing else uses. */
#define WINDOW (1ull << 39)

static uint64_t frames[FRAMES];
static unsigned acknowledged;
static unsigned stale;

static void invalidate(struct frame *frame) {
    (void)frame;
    invalidate_page(WINDOW);
    __atomic_add_fetch(&acknowledged, 1, __ATOMIC_SEQ_CST);
    apic_acknowledge();
}

static void change_mapping(uint64_t frame) {
    *entry_for(current_root(), WINDOW, LEVEL_PT) = frame | PAGE_PRESENT | PAGE_WRITABLE;
    invalidate_page(WINDOW);
    __atomic_store_n(&acknowledged, 1, __ATOMIC_SEQ_CST);
    if (processor_count > 1)
        apic_send_others(VECTOR_SHOOTDOWN);
    while (__atomic_load_n(&acknowledged, __ATOMIC_SEQ_CST) < processor_count)
        relax();
}

uint64_t shoot_down(unsigned processor, uint64_t changes) {
    if (processor == 0) {
        handlers[VECTOR_SHOOTDOWN] = invalidate;
        for (unsigned index = 0; index < FRAMES; index++) {
            frames[index] = frame_allocate();
            *(uint64_t *)frames[index] = index;
        }
        map_page(current_root(), WINDOW, frames[0], PAGE_WRITABLE);
    }
    barrier();
    for (uint64_t change = 1; change <= changes; change++) {
        if (processor == 0)
            change_mapping(frames[change % FRAMES]);
        barrier();
        if (*(volatile uint64_t *)WINDOW != change % FRAMES)
            __atomic_add_fetch(&stale, 1, __ATOMIC_SEQ_CST);
        barrier();
    }
    if (stale != 0) {
        if (processor == 0)
            print("%u reads saw an old page\n", stale);
        exit_guest(EXIT_FAILURE);
    }
    return changes;
}
