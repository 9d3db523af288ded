/* Address spaces that come and go. The frames of their tables are handed out again at once, and written as data:
   who takes them for tables still will see nonsense. */

#include "storm.h"

enum { REGIONS = 8 }; /* each with a page table of its own */

static uint64_t address_in(unsigned region, unsigned index) {
    return STORM_BASE + region * PAGE_1G + region * PAGE_2M + index * PAGE_4K;
}

static void use_as_data(unsigned count, uint64_t seed) {
    uint64_t frames[3 + 2 * REGIONS];
    for (unsigned index = 0; index < count; index++) {
        frames[index] = frame_allocate();
        uint64_t *words = (uint64_t *)frames[index];
        for (unsigned word = 0; word < FRAME_SIZE / 8; word += 4)
            words[word] = seed * (word + index);
    }
    for (unsigned index = 0; index < count; index++) {
        const uint64_t *words = (const uint64_t *)frames[index];
        for (unsigned word = 0; word < FRAME_SIZE / 8; word += 4)
            require(words[word] == seed * (word + index), "data in what was a page table");
        frame_free(frames[index]);
    }
}

uint64_t spaces(const struct storm *storm) {
    uint64_t sum = 0, home = read_cr3();
    uint64_t frame = frame_allocate();
    unsigned each = (storm->pages < 1024 ? storm->pages : 1024) / REGIONS;
    for (unsigned round = 0; round < storm->rounds; round++) {
        uint64_t before = frames_in_use();
        entry *root = root_create();
        for (unsigned region = 0; region < REGIONS; region++)
            for (unsigned index = 0; index < each; index++)
                map_page(root, address_in(region, index), frame, PAGE_WRITABLE);
        write_cr3((uint64_t)root);
        for (unsigned region = 0; region < REGIONS; region++)
            for (unsigned index = 0; index < each; index++)
                *(volatile uint64_t *)(address_in(region, index) + index % 512 * 8) += region + round;
        write_cr3(home);

        tables_free(&root[table_index(STORM_BASE, LEVEL_PML4)], LEVEL_PML4);
        frame_free((uint64_t)root);
        require(frames_in_use() == before, "tables were lost");
        /* The PML4, a PDPT, and a PD and a PT for each region. */
        use_as_data(2 + 2 * REGIONS, 0x9e3779b97f4a7c15 + round);
        sum = mix(sum, *(const uint64_t *)frame);
    }
    frame_free(frame);
    return sum;
}
