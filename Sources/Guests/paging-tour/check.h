/* One line for each thing that is checked. */
#pragma once

#include "attempt.h"
#include "kernel.h"

void chapter(const char *title);

void check(const char *name, bool holds);
void check_equal(const char *name, uint64_t expected, uint64_t got);

/* The attempt must have ended in this exception; the address counts for a page fault only. */
void check_fault(const char *name, struct fault got, unsigned vector, uint64_t error, uint64_t address);
void check_page_fault(const char *name, struct fault got, uint64_t error, uint64_t address);
void check_no_fault(const char *name, struct fault got);

/* Whether the processor has the feature; says so in a line if it does not. */
bool feature_or_skip(enum feature feature);

/* Prints the count; true if nothing failed. */
bool check_summary(void);
