/* A walk along a random cycle of pointers, one to a page: every step needs another translation, and little else.
   By default it goes through growing working sets, first in 4 KiB pages and then, the same frames, in 2 MiB pages.

   mark    region
   1-9     the sweep in 4 KiB pages: 16, 64, 256, 512, 1024, 1536, 3072, 6144, 12288 pointers
   17-25   the same in 2 MiB pages
   1       the one working set that `pages` or `size` asks for
   0       what lies between: building the next cycle

   Parameters: pages=N or size=BYTES, page=4K|2M, steps=100000, stride=4096 (bytes from one pointer's slot to the next) */

#include "kernel.h"

#define BASE_4K (1ull << 39)
#define BASE_2M (2ull << 39)

enum { LINE = 64, FIRST_MARK_4K = 1, FIRST_MARK_2M = 17 };

static const unsigned sweep[] = {16, 64, 256, 512, 1024, 1536, 3072, 6144, 12288};

enum { SWEEP_LENGTH = sizeof sweep / sizeof *sweep };

struct chase {
    uint64_t base, stride;
    unsigned count;
};

/* The slot's pointer lies in another cache line of each page, so that the data cache's sets are used evenly. */
static uint64_t *slot(const struct chase *chase, unsigned index) {
    uint64_t lines = chase->stride / LINE;
    return (uint64_t *)(chase->base + index * chase->stride + index % lines * LINE);
}

/* Knuth's MMIX generator; the upper half is the random part. */
static uint32_t next_random(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 32);
}

/* Sattolo's shuffle: one cycle through all slots. While it is being built a slot holds the index of its successor. */
static void build(const struct chase *chase) {
    uint64_t state = 42;
    for (unsigned index = 0; index < chase->count; index++)
        *slot(chase, index) = index;
    for (unsigned index = chase->count - 1; index > 0; index--) {
        uint64_t *a = slot(chase, index), *b = slot(chase, next_random(&state) % index);
        uint64_t successor = *a;
        *a = *b;
        *b = successor;
    }
    for (unsigned index = 0; index < chase->count; index++) {
        uint64_t *here = slot(chase, index);
        *here = (uint64_t)slot(chase, (unsigned)*here);
    }
}

/* Four dependent loads a turn. */
static uint64_t follow(uint64_t start, uint64_t turns) {
    asm volatile("1: movq (%0), %0\n"
                 "   movq (%0), %0\n"
                 "   movq (%0), %0\n"
                 "   movq (%0), %0\n"
                 "   decq %1\n"
                 "   jnz 1b"
                 : "+r"(start), "+r"(turns)
                 :
                 : "memory");
    return start;
}

static void run(const struct chase *chase, const char *page, uint64_t steps, unsigned id) {
    build(chase);
    uint64_t start = (uint64_t)slot(chase, 0);
    uint64_t round = (chase->count + 3) / 4;
    start = follow(start, round); /* touches every page before it counts */
    mark(id);
    uint64_t end = follow(start, steps / 4);
    mark(0);
    print("%5u pointers in %s pages, %lu steps: checksum %lx\n", chase->count, page, steps / 4 * 4, end - chase->base);
}

/* Maps the same frames at both bases. */
static void map(uint64_t bytes) {
    uint64_t size = (bytes + PAGE_2M - 1) & -PAGE_2M;
    uint64_t frames = frames_allocate(size / FRAME_SIZE, PAGE_2M);
    entry *root = current_root();
    for (uint64_t offset = 0; offset < size; offset += PAGE_4K)
        map_page(root, BASE_4K + offset, frames + offset, PAGE_WRITABLE);
    for (uint64_t offset = 0; offset < size; offset += PAGE_2M)
        *entry_for(root, BASE_2M + offset, LEVEL_PD) = (frames + offset) | PAGE_PRESENT | PAGE_WRITABLE | PAGE_LARGE;
}

void kernel_main(const char *parameters) {
    static const char *const names[] = {"pages", "size", "page", "steps", "stride", 0};
    static const char *const page_sizes[] = {"4K", "2M", 0};
    parameters_expect(parameters, names);
    bool large = parameter_choice(parameters, "page", page_sizes);
    bool one = parameter_given(parameters, "pages") || parameter_given(parameters, "size");
    uint64_t steps = parameter_number(parameters, "steps", 100000);
    uint64_t stride = parameter_number(parameters, "stride", PAGE_4K);
    uint64_t page_size = large ? PAGE_2M : PAGE_4K;
    uint64_t bytes = parameter_number(parameters, "size", parameter_number(parameters, "pages", 0) * page_size);
    if (!one)
        bytes = sweep[SWEEP_LENGTH - 1] * stride;
    if (steps < 4 || stride < LINE || stride % LINE || bytes < 2 * stride || bytes >> 30) {
        print("needs at least 4 steps, a stride that is a multiple of %d, and room for two pointers\n", LINE);
        exit_guest(EXIT_FAILURE);
    }
    map(bytes);

    struct chase chase = {.stride = stride, .count = (unsigned)(bytes / stride)};
    if (one) {
        chase.base = large ? BASE_2M : BASE_4K;
        run(&chase, page_sizes[large], steps, FIRST_MARK_4K);
        return;
    }
    bool both = !parameter_given(parameters, "page");
    for (unsigned variant = 0; variant < 2; variant++)
        for (unsigned index = 0; index < SWEEP_LENGTH && (both || variant == large); index++) {
            chase.base = variant ? BASE_2M : BASE_4K;
            chase.count = sweep[index];
            run(&chase, page_sizes[variant], steps, (variant ? FIRST_MARK_2M : FIRST_MARK_4K) + index);
        }
}
