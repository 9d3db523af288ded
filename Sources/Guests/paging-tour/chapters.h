/* The chapters of the tour, in the order in which they are worth reading. */
#pragma once

void tour_mappings(void);
void tour_accessed_and_dirty(void);
void tour_protection(void);
void tour_levels(void);
void tour_reserved_bits(void);
void tour_supervisor_guards(void);
void tour_addresses(void);
void tour_invalidation(void);
void tour_contexts(void);
void tour_exceptions(void);
void tour_tables(void);
void tour_code(void);
