/* Page tables under a storm of writes: what demand paging, fork, mmap and mprotect do to them, and address spaces that come and go.
   The marks are listed in storm.h.

   Parameters: rounds=12 pages=1024 */

#include "storm.h"

void require(bool condition, const char *what) {
    if (condition)
        return;
    print("FAILED: %s\n", what);
    exit_guest(EXIT_FAILURE);
}

static void phase(unsigned id, const char *name, uint64_t (*run)(const struct storm *), const struct storm *storm) {
    uint64_t before = frames_in_use();
    mark(id);
    uint64_t sum = run(storm);
    mark(0);
    print("%s: %016lx\n", name, sum);
    require(frames_in_use() == before, "frames were lost");
}

void kernel_main(const char *parameters) {
    static const char *const names[] = {"rounds", "pages", 0};
    parameters_expect(parameters, names);
    struct storm storm = {
        .rounds = (unsigned)parameter_number(parameters, "rounds", 12),
        .pages = (unsigned)parameter_number(parameters, "pages", 1024),
    };
    require(storm.pages >= 8 && storm.pages <= MOST_PAGES && storm.pages % 8 == 0, "pages must be a multiple of 8 from 8 to 4096");
    print("rounds=%u pages=%u\n", storm.rounds, storm.pages);

    phase(1, "map and unmap", map_and_unmap, &storm);
    phase(2, "protect", protect, &storm);
    phase(3, "demand paging", demand_paging, &storm);
    phase(4, "copy on write", copy_on_write, &storm);
    phase(5, "address spaces", spaces, &storm);
}
