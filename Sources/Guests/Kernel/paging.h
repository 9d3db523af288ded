/* Four-level page tables: entries, and helpers that write them. None of them invalidates: that is for the caller. */
#pragma once

#include <stdint.h>

typedef uint64_t entry;

#define PAGE_PRESENT (1ull << 0)
#define PAGE_WRITABLE (1ull << 1)
#define PAGE_USER (1ull << 2)
#define PAGE_ACCESSED (1ull << 5)
#define PAGE_DIRTY (1ull << 6)
#define PAGE_LARGE (1ull << 7)
#define PAGE_GLOBAL (1ull << 8)
#define PAGE_NO_EXECUTE (1ull << 63)
#define PAGE_ADDRESS 0x000ffffffffff000ull

/* The levels, counted from the bottom as the manual's figures do. */
enum level { LEVEL_PT = 1, LEVEL_PD = 2, LEVEL_PDPT = 3, LEVEL_PML4 = 4 };

#define PAGE_4K (1ull << 12)
#define PAGE_2M (1ull << 21)
#define PAGE_1G (1ull << 30)

/* The root in use. */
entry *current_root(void);

/* A new, empty PML4 that shares the kernel's half of the current one: entry 0, the identity-mapped first 512 GiB. */
entry *root_create(void);

/* The entry for the address in the table of the level. Missing tables above it are made, permissive in all their bits. */
entry *entry_for(entry *root, uint64_t address, enum level level);

/* As entry_for, but null where a table is missing or a large page ends the walk above the level. */
entry *entry_find(entry *root, uint64_t address, enum level level);

/* Maps one 4 KiB page. */
void map_page(entry *root, uint64_t address, uint64_t frame, uint64_t bits);

/* Gives the table below the entry back, with all tables below it, but not the pages that they map. */
void tables_free(entry *above, enum level level);

/* How a level's table is indexed. */
static inline unsigned table_index(uint64_t address, enum level level) {
    return address >> (12 + 9 * (level - 1)) & 511;
}

/* The table that a (present, not large) entry points to. */
static inline entry *table_of(entry e) {
    return (entry *)(e & PAGE_ADDRESS);
}
