/* Four-level page tables, reached through the identity mapping. */

#include "paging.h"

#include "frames.h"
#include "processor.h"

entry *current_root(void) {
    return table_of(read_cr3());
}

entry *root_create(void) {
    entry *root = (entry *)frame_allocate();
    root[0] = current_root()[0];
    return root;
}

entry *entry_for(entry *root, uint64_t address, enum level level) {
    entry *table = root;
    for (enum level above = LEVEL_PML4; above > level; above--) {
        entry *e = &table[table_index(address, above)];
        if (!(*e & PAGE_PRESENT))
            *e = frame_allocate() | PAGE_PRESENT | PAGE_WRITABLE | PAGE_USER;
        table = table_of(*e);
    }
    return &table[table_index(address, level)];
}

entry *entry_find(entry *root, uint64_t address, enum level level) {
    entry *table = root;
    for (enum level above = LEVEL_PML4; above > level; above--) {
        entry e = table[table_index(address, above)];
        if (!(e & PAGE_PRESENT) || (above < LEVEL_PML4 && e & PAGE_LARGE))
            return 0;
        table = table_of(e);
    }
    return &table[table_index(address, level)];
}

void map_page(entry *root, uint64_t address, uint64_t frame, uint64_t bits) {
    *entry_for(root, address, LEVEL_PT) = frame | bits | PAGE_PRESENT;
}

void tables_free(entry *above, enum level level) {
    entry *table = table_of(*above);
    if (level > LEVEL_PT + 1)
        for (unsigned index = 0; index < 512; index++)
            if (table[index] & PAGE_PRESENT && !(table[index] & PAGE_LARGE))
                tables_free(&table[index], level - 1);
    *above = 0;
    frame_free((uint64_t)table);
}
