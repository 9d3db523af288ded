/* What a context switch costs: tasks in several address spaces take turns, each touching its own pages at the same addresses.
   With spaces=1 all tasks share one space: the control run, which takes the same path but never loads CR3.

   Marks: 1 opens the measured region (exactly `switches` switches), 2 closes it.

   Parameters: spaces=4 tasks=4 pages=16 switches=1000 warmup=16 mode=kernel|user switch=voluntary|timer global=0|1 pcid=0|1 hz=10000 */

#include "tasks.h"

static uint64_t checksum(const struct options *options) {
    uint64_t sum = 0;
    for (unsigned space = 0; space < options->spaces; space++)
        for (unsigned page = 0; page < options->pages; page++)
            sum = (sum << 7 | sum >> 57) ^ touches(space, page);
    return sum;
}

/* A task may have been interrupted halfway through its pages: no page of a space is ahead of another by more than its tasks. */
static bool consistent(const struct options *options) {
    for (unsigned space = 0; space < options->spaces; space++) {
        uint64_t least = -1ull, most = 0, tasks = (options->tasks + options->spaces - 1) / options->spaces;
        for (unsigned page = 0; page < options->pages; page++) {
            uint64_t count = touches(space, page);
            least = count < least ? count : least;
            most = count > most ? count : most;
        }
        if (most - least > tasks || most == 0)
            return false;
    }
    return true;
}

static void check(const char *what, bool holds) {
    print("%s: %s\n", what, holds ? "yes" : "NO");
    if (!holds)
        exit_guest(EXIT_FAILURE);
}

void kernel_main(const char *parameters) {
    struct options options = options_read(parameters);
    options_print(&options);
    tasks_create(&options);

    tasks_run(options.warmup);
    MARK(1);
    tasks_run(options.switches);
    MARK(2);

    print("switches done: %lu\n", options.switches);
    if (!options.timer)
        print("checksum of the pages: %016lx\n", checksum(&options));
    check("every task ran", every_task_ran());
    check("pages are consistent", consistent(&options));
}
