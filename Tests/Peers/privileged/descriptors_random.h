/* A GDT of which the first half is the runtime's and the rest at random. */
#pragma once

#include <stdint.h>

void descriptors_randomize(void);

/* A selector: mostly of the random part, some null, some of the runtime's, some beyond the limit or in an LDT that is not there. */
uint16_t selector_random(void);

/* The descriptor of a selector, 0 where it has none. */
uint64_t descriptor_of(uint16_t selector);

/* A selector of a runtime's descriptor that suits a ring most of the time. */
uint16_t selector_suiting(unsigned ring, int isCode);
