/* Integer work that hardly misses a TLB. Each kernel is a region of its own; its mark is its place in the list of main.c. */
#pragma once

#include "kernel.h"

/* Each does one round and gives a checksum. */
uint64_t sieve(void);
uint64_t multiply_matrices(void);
uint64_t crc32(void);
uint64_t sort(void);
uint64_t xorshift(void);
uint64_t search(void);

static inline uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static inline uint64_t mix(uint64_t sum, uint64_t value) {
    sum = (sum ^ value) * 0x9e3779b97f4a7c15;
    return sum ^ sum >> 29;
}
