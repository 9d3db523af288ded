/* Heapsort: no recursion, no second array, and branches that nobody can predict. */

#include "compute.h"

enum { COUNT = 1 << 14 };

static uint64_t values[COUNT];

static void sift_down(uint64_t root, uint64_t count) {
    for (;;) {
        uint64_t child = 2 * root + 1;
        if (child >= count)
            return;
        if (child + 1 < count && values[child] < values[child + 1])
            child++;
        if (values[root] >= values[child])
            return;
        uint64_t larger = values[child];
        values[child] = values[root];
        values[root] = larger;
        root = child;
    }
}

uint64_t sort(void) {
    uint64_t state = 3, sum = 0;
    for (unsigned index = 0; index < COUNT; index++)
        values[index] = next_random(&state);
    for (uint64_t root = COUNT / 2; root-- > 0;)
        sift_down(root, COUNT);
    for (uint64_t last = COUNT - 1; last > 0; last--) {
        uint64_t largest = values[0];
        values[0] = values[last];
        values[last] = largest;
        sift_down(0, last);
    }
    for (unsigned index = 0; index < COUNT; index++) {
        if (index && values[index - 1] > values[index]) {
            print("FAILED: not sorted\n");
            exit_guest(EXIT_FAILURE);
        }
        sum = mix(sum, values[index]);
    }
    return sum;
}
