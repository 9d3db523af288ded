/* Reading, checking and printing the options. */

#include "options.h"

#include "kernel.h"

enum { MOST_TASKS = 1024, MOST_PAGES = 16384 };

static uint64_t number(const char *parameters, const char *name, uint64_t fallback, uint64_t least, uint64_t most) {
    uint64_t value = parameter_number(parameters, name, fallback);
    if (value < least || value > most) {
        print("%s must be from %lu to %lu\n", name, least, most);
        exit_guest(EXIT_FAILURE);
    }
    return value;
}

static bool feature(bool wanted, enum feature feature) {
    bool has = processor_has(feature);
    if (wanted && !has)
        print("%s: not available, skipped\n", feature_name(feature));
    return wanted && has;
}

struct options options_read(const char *parameters) {
    static const char *const names[] = {"spaces", "tasks", "pages", "switches", "warmup", "mode", "switch", "global", "pcid", "hz", 0};
    static const char *const modes[] = {"kernel", "user", 0}, *const causes[] = {"voluntary", "timer", 0};
    parameters_expect(parameters, names);

    struct options options = {.spaces = (unsigned)number(parameters, "spaces", 4, 1, MOST_TASKS)};
    options.tasks = (unsigned)number(parameters, "tasks", options.spaces > 4 ? options.spaces : 4, options.spaces, MOST_TASKS);
    options.pages = (unsigned)number(parameters, "pages", 16, 1, MOST_PAGES);
    options.switches = number(parameters, "switches", 1000, 1, 1ull << 40);
    options.warmup = number(parameters, "warmup", 4 * options.tasks, options.tasks, 1ull << 40);
    options.user = parameter_choice(parameters, "mode", modes);
    options.timer = parameter_choice(parameters, "switch", causes);
    options.global = feature(number(parameters, "global", 0, 0, 1), FEATURE_GLOBAL_PAGES);
    options.pcid = feature(number(parameters, "pcid", 0, 0, 1), FEATURE_PCID);
    options.hz = (unsigned)number(parameters, "hz", 10000, 19, 100000);
    return options;
}

void options_print(const struct options *options) {
    print("spaces=%u tasks=%u pages=%u switches=%lu mode=%s switch=%s global=%d pcid=%d\n", options->spaces, options->tasks, options->pages,
          options->switches, options->user ? "user" : "kernel", options->timer ? "timer" : "voluntary", options->global, options->pcid);
}
