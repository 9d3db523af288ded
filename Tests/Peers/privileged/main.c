/* Privileged instructions, page tables, descriptors and frames at random, one case a line: what differs between two machines is a
   line that differs. `seed=N count=M first=I` choose which; every case is made from the seed and its own number alone. */

#include "../../../Sources/Guests/Kernel/kernel.h"
#include "cases.h"
#include "random.h"
#include "run.h"

static const struct {
    const char *name;
    void (*body)(void);
    unsigned weight;
} kinds[] = {
    {"page", case_page, 10},           {"segment", case_segment, 4},       {"rights", case_rights, 3},   {"far", case_far, 3},
    {"return", case_return, 5},        {"flags", case_flags, 2},           {"control", case_control, 4}, {"debug", case_debug, 2},
    {"register", case_register, 2},    {"system-call", case_system_call, 2}, {"privileged", case_privileged, 3},
    {"gate", case_gate, 3},            {"canonical", case_canonical, 2},   {"alignment", case_alignment, 1},
};

enum { KINDS = sizeof kinds / sizeof kinds[0] };

void kernel_main(const char *parameters) {
    static const char *const names[] = {"seed", "count", "first", 0};
    parameters_expect(parameters, names);
    uint64_t seed = parameter_number(parameters, "seed", 1);
    uint64_t count = parameter_number(parameters, "count", 1000);
    uint64_t first = parameter_number(parameters, "first", 0);
    run_initialize();

    unsigned total = 0;
    for (unsigned kind = 0; kind < KINDS; kind++)
        total += kinds[kind].weight;
    for (uint64_t number = first; number < first + count; number++) {
        random_start(seed * 0x100000001b3 + number);
        unsigned choice = (unsigned)random_below(total), kind = 0;
        while (choice >= kinds[kind].weight)
            choice -= kinds[kind++].weight;
        print("%lu %s ", number, kinds[kind].name);
        kinds[kind].body();
        print("\n");
    }
}
