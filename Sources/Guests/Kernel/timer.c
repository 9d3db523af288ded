/* Channel 0 of the 8254 as a rate generator. */

#include "timer.h"

#include "processor.h"

enum { FREQUENCY = 1193182, CHANNEL0 = 0x40, COMMAND = 0x43, RATE_GENERATOR = 0x34 };

void timer_start(unsigned hertz) {
    unsigned divisor = FREQUENCY / hertz;
    outb(COMMAND, RATE_GENERATOR);
    outb(CHANNEL0, (uint8_t)divisor);
    outb(CHANNEL0, (uint8_t)(divisor >> 8));
}
