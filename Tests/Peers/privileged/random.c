#include "random.h"

static uint64_t state;

void random_start(uint64_t seed) {
    state = seed;
}

uint64_t random_next(void) {
    state += 0x9e3779b97f4a7c15;
    uint64_t mixed = state;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
    return mixed ^ mixed >> 31;
}

uint64_t random_below(uint64_t bound) {
    return random_next() % bound;
}

uint64_t random_noncanonical(void) {
    return 0x0000800000000000 + random_below(0xffff000000000000) / 8 * 8;
}
