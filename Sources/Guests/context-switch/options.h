/* What the command line chooses. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct options {
    unsigned spaces;   /* address spaces */
    unsigned tasks;    /* tasks; task t lives in space t % spaces */
    unsigned pages;    /* pages that a task touches between two switches */
    uint64_t switches; /* in the measured region */
    uint64_t warmup;   /* switches before it */
    bool user;         /* mode=user: tasks run in ring 3 */
    bool timer;        /* switch=timer: a timer interrupt switches, not the task itself */
    bool global;       /* the kernel's mappings are global */
    bool pcid;         /* each space has an identifier, and CR3 is loaded without a flush */
    unsigned hz;       /* of the timer */
};

struct options options_read(const char *parameters);
void options_print(const struct options *options);
