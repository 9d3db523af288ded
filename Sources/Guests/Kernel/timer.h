/* The 8254 interval timer on interrupt line 0. */
#pragma once

enum { TIMER_LINE = 0 };

/* Ticks at about this rate (at least 19 Hz). The line is still masked. */
void timer_start(unsigned hertz);
