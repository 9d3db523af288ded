/* Several processors at one memory: they are started, count together, pass interrupts around, and follow each other's
   changes of page tables and of code. With `penumbra run processors --cpus 4`; with one processor it does the same alone.

   Marks: 1 counting with LOCK, 2 counting under a lock, 3 interrupts around, 4 changed mappings, 5 changed code; 0 between.

   Parameters: rounds=200 laps=20 changes=20 */

#include "processors.h"

#include "kernel.h"

static const struct {
    const char *name, *parameter;
    uint64_t usual;
    uint64_t (*run)(unsigned processor, uint64_t times);
} chapters[] = {
    {"counted together", "rounds", 200, count_together}, {"counted in turn", "rounds", 200, count_in_turn},
    {"interrupts passed", "laps", 20, pass_messages},    {"mappings changed", "changes", 20, shoot_down},
    {"code changed", "changes", 20, change_code},
};

enum { CHAPTERS = sizeof chapters / sizeof *chapters };

static uint64_t times[CHAPTERS];

static void run_chapters(unsigned processor) {
    if (processor == 0)
        print("processors: %u\n", processor_count);
    for (unsigned chapter = 0; chapter < CHAPTERS; chapter++) {
        barrier();
        mark(chapter + 1);
        uint64_t result = chapters[chapter].run(processor, times[chapter]);
        mark(0);
        barrier();
        if (processor == 0)
            print("%s: %lu\n", chapters[chapter].name, result);
    }
}

void kernel_main(const char *parameters) {
    static const char *const names[] = {"rounds", "laps", "changes", 0};
    parameters_expect(parameters, names);
    for (unsigned chapter = 0; chapter < CHAPTERS; chapter++)
        times[chapter] = parameter_number(parameters, chapters[chapter].parameter, chapters[chapter].usual);
    processors_run(run_chapters);
}
