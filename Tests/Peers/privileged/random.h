/* Numbers at random, the same on every machine: splitmix64, started anew for every case. */
#pragma once

#include <stdint.h>

void random_start(uint64_t seed);
uint64_t random_next(void);

/* A number below a bound. */
uint64_t random_below(uint64_t bound);

/* True once in so many times. */
static inline int random_once(uint64_t times) {
    return random_below(times) == 0;
}

/* An address that is not canonical. */
uint64_t random_noncanonical(void);
