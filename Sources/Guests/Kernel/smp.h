/* Several processors in step: all are started, and do the same work each with its number. */
#pragma once

#include <stdint.h>

enum { PROCESSORS_MAX = 64 };

/* How many there are, once they have been started. */
extern unsigned processor_count;

/* Starts all processors, calls `work` on each with its number from 0, interrupts on, and returns when all have ended it. The
   caller is number 0. Ends the guest where firmware tells of none, or of too many. */
void processors_run(void (*work)(unsigned processor));

/* Waits until every processor has come here. */
void barrier(void);

static inline void relax(void) {
    asm volatile("pause" : : : "memory");
}
