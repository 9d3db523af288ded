/* One counter, many processors. */

#include "processors.h"

static uint64_t locked;
static uint64_t guarded;
static unsigned tickets;
static volatile unsigned serving;

/* Each adds with LOCK: nothing is lost. */
uint64_t count_together(unsigned processor, uint64_t rounds) {
    for (uint64_t round = 0; round < rounds; round++)
        asm volatile("lock incq %0" : "+m"(locked));
    barrier();
    return processor == 0 ? locked : 0;
}

/* Each adds without it, while it holds a lock that is given in the order of asking. */
uint64_t count_in_turn(unsigned processor, uint64_t rounds) {
    for (uint64_t round = 0; round < rounds; round++) {
        unsigned ticket = __atomic_fetch_add(&tickets, 1, __ATOMIC_SEQ_CST);
        while (serving != ticket)
            relax();
        uint64_t seen = guarded;
        asm volatile("" : : : "memory");
        guarded = seen + 1;
        __atomic_store_n(&serving, ticket + 1, __ATOMIC_SEQ_CST);
    }
    barrier();
    return processor == 0 ? guarded : 0;
}
