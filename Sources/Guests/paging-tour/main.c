/* A tour of the MMU that checks itself: mappings, protection, faults, invalidation, contexts, exceptions, code.
   Every line is what the manual (Intel SDM vol. 3, chapters 4 and 6) says, whatever kind of paging is below;
   everything is invalidated as section 4.10.4 asks, so nothing depends on what happens to be cached. */

#include "chapters.h"
#include "check.h"

void kernel_main(const char *parameters) {
    (void)parameters;
    if (processor_has(FEATURE_GLOBAL_PAGES))
        write_cr4(read_cr4() | CR4_PGE);
    attempt_initialize();

    tour_mappings();
    tour_accessed_and_dirty();
    tour_protection();
    tour_levels();
    tour_reserved_bits();
    tour_supervisor_guards();
    tour_addresses();
    tour_invalidation();
    tour_contexts();
    tour_exceptions();
    tour_tables();
    tour_code();

    exit_guest(check_summary() ? EXIT_SUCCESS : EXIT_FAILURE);
}
